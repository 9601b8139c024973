"""Describe the endpoint of one problem as an OpenAPI 3.1 document: both protocols, with the types of the contract.

In: the request schema, the task, the name and the version of the model. Out: the document that `GET /openapi.json`
answers. Called by `routes`. A body that fits it is taken; a text that must be a time is checked when it is read.

Source: https://spec.openapis.org/oas/v3.1.0, whose schemas are JSON Schema 2020-12.
"""

from typing import Any

from components.base.contract.types import ColumnType
from components.base.task import Task
from components.serving.predictor.requests import MAXIMUM_TEXT, RequestField, RequestSchema
from components.serving.predictor.tensors import describe_datatypes, list_answer_datatypes, write_v2

Schema = dict[str, Any]
_TYPES: dict[ColumnType, Schema] = {
    "string": {"type": "string", "maxLength": MAXIMUM_TEXT},
    "timestamp": {"type": "string", "format": "date-time"},
    "bool": {"type": "boolean"},
    "int": {"type": "integer", "format": "int64", "minimum": -(2**63), "maximum": 2**63 - 1},
    "float": {"type": "number", "format": "double"},
}
_NAME = {"type": "string", "pattern": "^[!-~]{1,128}$"}
_HEADERS = {
    "idempotency-key": "Names the request: one that is sent again under it, with the same content, counts once.",
    "x-request-id": "Name of a trace; it is repeated in the answer and identifies nothing.",
}
_FAULTS = {
    "400": "The request is wrong; the text says what to send.",
    "413": "The request has too many rows or bytes.",
    "415": "The body is no plain JSON.",
    "503": "The features cannot be looked up, or the prediction cannot be recorded, now. Try again.",
}


def describe_api(schema: RequestSchema, task: Task, name: str, version: str) -> Schema:
    """Return the OpenAPI document of an endpoint."""
    return {
        "openapi": "3.1.0",
        "info": {"title": task.problem.title, "version": version, "description": task.problem.decision.question},
        "paths": {
            f"/v1/models/{name}:predict": _describe_prediction("predict", "Predict rows, one object each.", "V1"),
            f"/v2/models/{name}/infer": _describe_prediction("infer", "Predict columns, one tensor each.", "V2"),
            f"/v2/models/{name}/ready": _describe_readiness(),
        },
        "components": {
            "schemas": {
                "Error": _object({"error": {"type": "string"}}),
                **_describe_v1(schema, task),
                **_describe_v2(schema, task),
            }
        },
    }


def _describe_prediction(name: str, summary: str, protocol: str) -> Schema:
    body = {"content": {"application/json": {"schema": _refer(f"{protocol}Request")}}, "required": True}
    answer = {"description": "One answer a row, in order.", "content": _json(f"{protocol}Answer")}
    headers = [
        {"name": header, "in": "header", "description": text, "schema": _NAME} for header, text in _HEADERS.items()
    ]
    faults = {status: {"description": text, "content": _json("Error")} for status, text in _FAULTS.items()}
    responses = {"200": answer, **faults}
    return {
        "post": {
            "operationId": name,
            "summary": summary,
            "parameters": headers,
            "requestBody": body,
            "responses": responses,
        }
    }


def _describe_readiness() -> Schema:
    answers = {"200": {"description": "Ready."}, "503": {"description": "Not now.", "content": _json("Error")}}
    return {"get": {"operationId": "ready", "summary": "Whether predictions go through now.", "responses": answers}}


def _describe_v1(schema: RequestSchema, task: Task) -> dict[str, Schema]:
    fields = schema.taken_fields
    row = _object({field.name: _describe_value(field) for field in fields})
    row["required"] = schema.names
    answer = {
        **{column: {"type": "number"} for column in task.output_columns},
        "decision": _TYPES[task.decision_type],
        "model_version": {"type": "string"},
        "missing_features": _array({"type": "string"}),
    }
    rows = {**_array(_refer("Row")), "minItems": 1, "maxItems": schema.maximum_rows}
    return {
        "Row": row | {"examples": [schema.example()]},
        "V1Request": _object({"instances": rows}),
        "V1Answer": _object({"predictions": _array(_object(answer))}),
    }


def _describe_v2(schema: RequestSchema, task: Task) -> dict[str, Schema]:
    datatypes = list_answer_datatypes(task)
    shape = {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1, "maxItems": 2}
    tensors = [
        _object(
            {
                "name": {"const": field.name},
                "datatype": {"enum": list(describe_datatypes(field.type))},
                "shape": shape,
                "data": {**_array(_describe_value(field)), "minItems": 1, "maxItems": schema.maximum_rows},
            }
        )
        for field in schema.taken_fields
    ]
    wanted = _object({"name": {"enum": list(datatypes)}})
    request = _object({"inputs": {**_array({"oneOf": tensors}), "minItems": len(schema.fields)}})
    request["properties"] |= {"id": {"type": "string"}, "outputs": _array(wanted), "parameters": {"type": "object"}}
    request["examples"] = [write_v2(schema, [schema.example()])]
    names, text = {"enum": list(datatypes)}, {"type": "string"}
    output = _object({"name": names, "datatype": text, "shape": shape, "data": _array({})})
    answer = {
        "model_name": {"type": "string"},
        "model_version": {"type": "string"},
        "parameters": {"type": "object"},
        "outputs": _array(output),
    }
    described = _object(answer)
    described["properties"] |= {"id": {"type": "string"}}
    return {"V2Request": request, "V2Answer": described}


def _describe_value(field: RequestField) -> Schema:
    described = dict(_TYPES[field.type])
    if field.minimum is not None:
        described["minimum"] = field.minimum
    if field.maximum is not None:
        described["maximum"] = field.maximum
    if field.is_nullable:
        described["type"] = [described["type"], "null"]
    return described


def _object(properties: dict[str, Schema]) -> Schema:
    """Return a closed object whose properties are all required."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _json(name: str) -> Schema:
    return {"application/json": {"schema": _refer(name)}}


def _refer(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}
