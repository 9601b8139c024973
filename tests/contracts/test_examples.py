"""The examples of manifests/: KServe's definitions take them, and so do the rules of its webhook."""

import json
from pathlib import Path

import pytest
import yaml

from tests.contracts.test_inference_service_schema import SCHEMA, find_faults

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "manifests" / "examples"
GRAPH_SCHEMA = json.loads((Path(__file__).parent / "inference_graph_schema.json").read_text())["schema"]


def _read(name):
    return yaml.safe_load((EXAMPLES / name).read_text())


def _refuse(graph):
    """Return what KServe's webhook says of a graph beyond its definition, in its words."""
    nodes = graph["spec"]["nodes"]
    yield from ["root node not found"] if "root" not in nodes else []
    for name, node in nodes.items():
        if node["routerType"] == "Splitter" and sum(step.get("weight", 0) for step in node["steps"]) != 100:
            yield f"{name}: the sum of traffic weights for all routing targets should be 100"
        for step in node["steps"]:
            if len({"nodeName", "serviceName", "serviceUrl"} & set(step)) != 1:
                yield f"{name}: {step['name']} must have one target"
        if len({step["name"] for step in node["steps"]}) < len(node["steps"]):
            yield f"{name}: contains more than one step with a name"


def test_the_inference_service_holds_against_the_definition_and_the_webhook():
    example = _read("inference-service.yaml")
    assert find_faults(SCHEMA, example) == []
    assert example["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == "Standard"
    (container,) = example["spec"]["predictor"]["containers"]
    assert container["name"] == "kserve-container"
    assert [one for one in container["env"] if one["name"] == "STORAGE_URI"]


def test_the_inference_graph_holds_against_the_definition_and_the_webhook():
    example = _read("inference-graph.yaml")
    assert find_faults(GRAPH_SCHEMA, example) == []
    assert list(_refuse(example)) == []


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("weight", 60, "weights"),
        ("serviceUrl", "http://else", "one target"),
        ("name", "proposed", "more than one step"),
    ],
)
def test_a_graph_that_the_webhook_refuses_is_found(field, value, fault):
    example = _read("inference-graph.yaml")
    example["spec"]["nodes"]["root"]["steps"][0][field] = value
    assert any(fault in found for found in _refuse(example))
    example["spec"]["nodes"]["root"]["routerTypes"] = "Splitter"
    assert ".spec.nodes.root.routerTypes: unknown field" in find_faults(GRAPH_SCHEMA, example)
