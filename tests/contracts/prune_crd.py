"""Cut a CustomResourceDefinition down to what manifests touch: `python prune_crd.py CRD.yaml SOURCE MANIFEST.yaml...`

Prints JSON. Every property keeps its name, so that an unknown field is found; a schema that no manifest reaches becomes
`{"x-pruned": true}`, and a test that walks into one has to be fed from the whole definition again.
"""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

PRUNED = {"x-pruned": True}
KEPT = ("type", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "required", "anyOf")
KEPT_MARKS = ("x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields")


def prune(schema: dict[str, Any], samples: list[Any]) -> dict[str, Any]:
    """Keep what the samples reach."""
    if not samples:
        return PRUNED
    kept = {name: schema[name] for name in (*KEPT, *KEPT_MARKS) if name in schema}
    if "properties" in schema:
        kept["properties"] = {
            name: prune(child, [sample[name] for sample in samples if name in sample])
            for name, child in schema["properties"].items()
        }
    if isinstance(schema.get("additionalProperties"), dict):
        kept["additionalProperties"] = prune(
            schema["additionalProperties"], [value for sample in samples for value in sample.values()]
        )
    if "items" in schema:
        kept["items"] = prune(schema["items"], [item for sample in samples for item in sample])
    return kept


if __name__ == "__main__":
    definition = yaml.safe_load(Path(sys.argv[1]).read_text())
    manifests = [yaml.safe_load(Path(name).read_text()) for name in sys.argv[3:]]
    (version,) = definition["spec"]["versions"]
    schema = prune(version["schema"]["openAPIV3Schema"], manifests)
    print(json.dumps({"source": sys.argv[2], "version": version["name"], "schema": schema}, indent=1))
