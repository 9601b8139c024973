"""Each manifest of a rollout holds against the schema of KServe's own CustomResourceDefinition.

`inference_service_schema.json` is that definition, cut by `prune_crd.py` to what our manifests touch; `source` names
repository and commit. An API server drops unknown fields silently, so they count as faults here.
"""

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from components.base.contract.load import load_problem
from components.base.settings import load_settings
from components.serving.inference_service import ServedVersion, plan_rollout

ROOT = Path(__file__).parents[2]
PROBLEM = load_problem(ROOT / "pipelines" / "problems" / "flight-delays.yaml")
SCHEMA = json.loads((Path(__file__).parent / "inference_service_schema.json").read_text())["schema"]
STAGES = plan_rollout(
    ServedVersion(PROBLEM, "3", "s3://b/3", {"model": "b"}),
    ServedVersion(PROBLEM, "2", "s3://b/2", {}),
    load_settings({}),
)
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "number": (int, float)}


def find_faults(schema: dict[str, Any], value: Any, where: str = "") -> list[str]:
    """Validate by the subset of JSON Schema that structural Kubernetes schemas use."""
    if schema.get("x-pruned"):
        return [f"{where}: the schema was cut off here; feed prune_crd.py with the present manifests"]
    expected = TYPES.get(schema.get("type", ""), object)
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is int):
        return [f"{where}: {schema['type']} expected, but got {value!r}"]
    faults = [f"{where}: {value!r} breaks {name}" for name, holds in _limits(schema, value) if not holds]
    if isinstance(value, dict):
        faults += [f"{where}.{name}: missing" for name in schema.get("required", []) if name not in value]
        for name, child in value.items():
            faults += _property_faults(schema, name, child, f"{where}.{name}")
    if isinstance(value, list):
        for position, item in enumerate(value):
            faults += find_faults(schema["items"], item, f"{where}[{position}]")
    return faults


def _property_faults(schema, name, child, where):
    if name in schema.get("properties", {}):
        return find_faults(schema["properties"][name], child, where)
    if "additionalProperties" in schema:
        return find_faults(schema["additionalProperties"], child, where)
    is_open = "properties" not in schema or schema.get("x-kubernetes-preserve-unknown-fields")
    return [] if is_open else [f"{where}: unknown field"]


def _limits(schema, value):
    yield "enum", value in schema.get("enum", [value])
    yield "minimum", not isinstance(value, int) or value >= schema.get("minimum", value)
    yield "maximum", not isinstance(value, int) or value <= schema.get("maximum", value)
    yield "pattern", not isinstance(value, str) or re.search(schema.get("pattern", ""), value) is not None
    yield "minLength", not isinstance(value, str) or len(value) >= schema.get("minLength", 0)
    yield "minItems", not isinstance(value, list) or len(value) >= schema.get("minItems", 0)


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: f"{stage.percent}-percent-{len(stage.manifest['spec'])}")
def test_every_stage_holds_against_the_definition(stage):
    assert find_faults(SCHEMA, stage.manifest) == []


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (("spec", "canary", 0, "trafficPercent"), 101, "breaks maximum"),
        (("spec", "canary", 0, "weight"), 10, "unknown field"),
        (("spec", "predictor", "minReplicas"), "1", "integer expected"),
        (("spec", "predictor", "scaleMetric"), "gpu", "breaks enum"),
        (("spec", "predictor", "volumes", 0, "emptyDr"), {}, "unknown field"),
        (("spec", "predictor", "containers", 0, "img"), "x", "unknown field"),
    ],
)
def test_broken_manifest_is_found(path, value, fault):
    manifest = copy.deepcopy(STAGES[0].manifest)
    place = manifest
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    assert any(fault in found for found in find_faults(SCHEMA, manifest))


def test_missing_traffic_share_is_found():
    manifest = copy.deepcopy(STAGES[0].manifest)
    del manifest["spec"]["canary"][0]["trafficPercent"]
    assert find_faults(SCHEMA, manifest) == [".spec.canary[0].trafficPercent: missing"]
