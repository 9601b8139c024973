"""Read and write the tensors of the V2 protocol (Open Inference Protocol, JSON): one tensor a request column.

In: the JSON body of a V2 request, or predictions. Out: typed rows as `requests` gives them, or the body of the answer.
Called by `routes` for each request, and by `client` to write golden requests. Binary tensors are not taken.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from components.base.contract.types import ColumnType
from components.base.task import Task
from components.serving.predictor.requests import (
    RequestError,
    RequestField,
    RequestSchema,
    Row,
    WrongValueError,
    decode_object,
    plain_value,
    raise_request_faults,
    refuse_unknown,
    shorten,
    showing,
)

_INTEGERS = ("INT64", "INT32", "INT16", "INT8", "UINT64", "UINT32", "UINT16", "UINT8")
# The first of each is what the metadata names.
_DATATYPES: dict[ColumnType, tuple[str, ...]] = {
    "string": ("BYTES",),
    "timestamp": ("BYTES",),
    "bool": ("BOOL",),
    "int": _INTEGERS,
    "float": ("FP64", "FP32", "FP16", *_INTEGERS),
}


def describe_datatypes(type: ColumnType) -> tuple[str, ...]:  # noqa: A002
    """Return the datatypes that a tensor of a column may have; the metadata names the first."""
    return _DATATYPES[type]


def describe_inputs(schema: RequestSchema) -> list[dict[str, Any]]:
    """Return the inputs of the V2 model metadata."""
    return [{"name": f.name, "datatype": _DATATYPES[f.type][0], "shape": [-1]} for f in schema.fields]


def list_answer_datatypes(task: Task) -> dict[str, str]:
    """Return the datatype of each tensor of an answer, by name, in order."""
    decision = _DATATYPES[task.decision_type][0]
    return {**dict.fromkeys(task.output_columns, "FP64"), "decision": decision, "missing_features": "BYTES"}


def describe_outputs(datatypes: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the outputs of the V2 model metadata."""
    return [{"name": name, "datatype": datatype, "shape": [-1]} for name, datatype in datatypes.items()]


def write_v2(schema: RequestSchema, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the V2 request of typed rows, as an object that JSON can hold."""
    return {
        "inputs": [
            {
                "name": field.name,
                "datatype": _DATATYPES[field.type][0],
                "shape": [len(rows)],
                "data": [plain_value(row[field.name]) for row in rows],
            }
            for field in schema.fields
        ]
    }


def parse_v2(schema: RequestSchema, datatypes: Mapping[str, str], body: bytes) -> tuple[list[Row], dict[str, Any]]:
    """Read a V2 request; `datatypes` are those of the answer.

    Returns:
        The rows, and the request itself for its `id` and `outputs`.

    Raises:
        RequestError: with the first faults and the way to fix them.
    """
    with showing(lambda: orjson.dumps(write_v2(schema, [schema.example()])).decode()):
        request = decode_object(body)
        refuse_unknown(request, ["inputs", "id", "outputs", "parameters"], "the request")
        if not isinstance(request.get("id", ""), str):
            raise RequestError(f"`id` must be text, but got {shorten(request['id'])}.")
        tensors = _tensors_by_name(request.get("inputs"), schema)
        if (outputs := request.get("outputs")) is not None:
            listed = outputs if isinstance(outputs, list) else [None]
            named = [output.get("name") if isinstance(output, dict) else None for output in listed]
            if not all(isinstance(name, str) for name in named):
                shown = f'[{{"name": "{next(iter(datatypes))}"}}]'
                raise RequestError(f"`outputs` must be a list like {shown}, but got {shorten(outputs)}.")
            refuse_unknown([str(name) for name in named], list(datatypes), "outputs")
        faults: list[str] = []
        fields = [field for field in schema.taken_fields if field.name in tensors]
        columns = [_read_tensor(field, tensors[field.name], faults) for field in fields]
        if not faults and len({len(column) for column in columns}) > 1:
            lengths = ", ".join(f"{f.name} {len(column)}" for f, column in zip(fields, columns, strict=True))
            faults.append(f"all tensors must have as many values, but got {lengths}.")
        raise_request_faults(faults)
        schema.check_rows(len(columns[0]))
        names = [field.name for field in fields]
        return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)], request


def answer_v2(
    columns: Mapping[str, list[Any]],
    datatypes: Mapping[str, str],
    request: Mapping[str, Any],
    name: str,
    version: str,
) -> dict[str, Any]:
    """Return the body of the answer, with the outputs that the request names; with all when it names none."""
    named = [output["name"] for output in request.get("outputs") or []] or list(datatypes)
    answer: dict[str, Any] = {"model_name": name, "model_version": version, "parameters": {"model_version": version}}
    if "id" in request:
        answer["id"] = request["id"]
    answer["outputs"] = [
        {"name": output, "datatype": datatypes[output], "shape": [len(columns[output])], "data": columns[output]}
        for output in named
    ]
    return answer


def _tensors_by_name(inputs: Any, schema: RequestSchema) -> dict[str, dict[str, Any]]:
    if not isinstance(inputs, list) or not inputs:
        got = "nothing" if inputs is None else shorten(inputs)
        raise RequestError(f"`inputs` must be a list of tensors, but got {got}.")
    faults = [
        f"inputs[{i}] must be an object with name, datatype, shape and data, but got {shorten(tensor)}."
        for i, tensor in enumerate(inputs)
        if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str)
    ]
    raise_request_faults(faults)
    tensors = {tensor["name"]: tensor for tensor in inputs}
    refuse_unknown(tensors, schema.taken_names, "inputs")
    if len(tensors) < len(inputs):
        faults.append("each tensor must be given once, but one is given twice.")
    faults.extend(f"inputs must have the tensor `{n}`, but it is missing." for n in schema.names if n not in tensors)
    raise_request_faults(faults)
    return tensors


def _read_tensor(field: RequestField, tensor: Mapping[str, Any], faults: list[str]) -> list[Any]:
    where, allowed = f"inputs `{field.name}`", _DATATYPES[field.type]
    datatype, data = tensor.get("datatype"), tensor.get("data")
    if datatype not in allowed:
        got = "nothing" if datatype is None else shorten(datatype)
        faults.append(f"{where}: datatype must be one of {', '.join(allowed)}, but got {got}.")
        return []
    if not isinstance(data, list) or not data:
        hint = " Binary tensors are not taken; send the values as JSON in `data`." if "parameters" in tensor else ""
        got = "nothing" if data is None else shorten(data)
        faults.append(f"{where}: data must be a list of at least one value, but got {got}.{hint}")
        return []
    values = [value[0] if isinstance(value, list) and len(value) == 1 else value for value in data]
    shape = tensor.get("shape")
    if shape not in ([len(values)], [len(values), 1]):
        got = orjson.dumps(shape).decode()[:60] if shape is not None else "nothing"
        faults.append(f"{where}: shape must be [{len(values)}] for {len(values)} values, but got {got}.")
        return []
    for i, value in enumerate(values):
        try:
            values[i] = field.read(value)
        except WrongValueError as fault:
            faults.append(f"{where}: data[{i}] {fault}.")
    return values
