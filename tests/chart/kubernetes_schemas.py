"""JSON Schema of Kubernetes' kinds, closed, derived from the models of the package `kubernetes`.

The package is generated from Kubernetes' own OpenAPI document and carries its types, names and mandatory fields, so
that nothing is downloaded. It knows no patterns and no enumerations: an API server finds more. Kinds of the Prometheus
operator come from their definitions, in `monitoring_schemas.json`.
"""

import functools
import inspect
import json
import re
from pathlib import Path
from typing import Any

from kubernetes.client import models

Schema = dict[str, Any]
_PLAIN: dict[str, Schema] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "datetime": {"type": "string"},
    # What is a number or a name (a port, a share), or free.
    "object": {},
}
_MANDATORY = re.compile(r"Invalid value for `(\w+)`, must not be `None`")
_CUSTOM = json.loads(Path(__file__).with_name("monitoring_schemas.json").read_text())


@functools.cache
def schema_of(api_version: str, kind: str) -> Schema:
    """Return the schema of a kind.

    Raises:
        KeyError: nobody knows it.
    """
    if api_version.startswith("monitoring.coreos.com/"):
        return _close(_CUSTOM[kind])
    version = api_version.rpartition("/")[2]
    model = f"{version[0].upper()}{version[1:]}{kind}"
    if not hasattr(models, model):
        raise KeyError(f"{api_version} {kind}")
    needed: set[str] = set()
    root = _describe(model, needed)
    definitions: dict[str, Schema] = {}
    while missing := needed - set(definitions):
        for name in missing:
            definitions[name] = _describe_model(name, needed)
    return {**root, "definitions": definitions, "required": ["apiVersion", "kind", "metadata"]}


def _describe(kind: str, needed: set[str]) -> Schema:
    if kind in _PLAIN:
        return _PLAIN[kind]
    if match := re.fullmatch(r"list\[(.+)\]", kind):
        return {"type": "array", "items": _describe(match[1], needed)}
    if match := re.fullmatch(r"dict\(str, (.+)\)", kind):
        return {"type": "object", "additionalProperties": _describe(match[1], needed)}
    needed.add(kind)
    return {"allOf": [{"$ref": f"#/definitions/{kind}"}]}


def _describe_model(name: str, needed: set[str]) -> Schema:
    model = getattr(models, name)
    mandatory = set(_MANDATORY.findall(inspect.getsource(model)))
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            model.attribute_map[field]: _describe(kind, needed) for field, kind in model.openapi_types.items()
        },
        "required": sorted(model.attribute_map[field] for field in mandatory),
    }


def _close(schema: Schema) -> Schema:
    """Refuse unknown fields, as `kubectl --validate=strict` does; metadata is Kubernetes' own."""
    closed = {name: _close(part) if isinstance(part, dict) else part for name, part in schema.items()}
    if schema.get("type") == "object" and "properties" in schema:
        closed["additionalProperties"] = False
    if "properties" in schema:
        closed["properties"] = {name: _close(part) for name, part in schema["properties"].items()}
    if schema.get("x-kubernetes-int-or-string"):
        closed.pop("type", None)
    return closed
