"""The OpenAPI document of an endpoint: what fits it is taken, and what does not is refused."""

import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.base.contract.load import load_problem
from components.serving.predictor.openapi import describe_api
from components.serving.predictor.requests import RequestError, RequestSchema
from components.serving.predictor.tensors import list_answer_datatypes, parse_v2, write_v2
from components.tasks import open_task
from tests.contracts.running_predictor import FLIGHT, ROOT

TASK = open_task(load_problem(ROOT / "pipelines/problems/flight-delays.yaml"))
SCHEMA = RequestSchema.of(TASK.problem)
DOCUMENT = describe_api(SCHEMA, TASK, "flight-delays", "7")
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**40), 2**40), st.floats(-1e9, 1e9), st.text("abc", max_size=250)
)


def fits(name: str, body: object) -> bool:
    """Return whether a body fits a schema of the document."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    return jsonschema.Draft202012Validator(schema).is_valid(body)


def is_taken(parse, body: object) -> bool:
    try:
        parse(json.dumps(body).encode())
    except RequestError:
        return False
    return True


def parse_second(content: bytes):
    return parse_v2(SCHEMA, list_answer_datatypes(TASK), content)


def test_both_protocols_of_the_problem_are_described():
    assert set(DOCUMENT["paths"]) == {
        "/v1/models/flight-delays:predict",
        "/v2/models/flight-delays/infer",
        "/v2/models/flight-delays/ready",
    }
    row = DOCUMENT["components"]["schemas"]["Row"]
    assert row["required"] == list(TASK.problem.examples.request)
    assert row["properties"]["tailnum"]["type"] == ["string", "null"]
    assert row["properties"]["scheduled_at"] == {"type": "string", "format": "date-time"}
    json.dumps(DOCUMENT)


def test_the_examples_of_the_document_fit_it_and_are_taken():
    row = DOCUMENT["components"]["schemas"]["Row"]["examples"][0]
    second = DOCUMENT["components"]["schemas"]["V2Request"]["examples"][0]
    assert fits("V1Request", {"instances": [row]})
    assert is_taken(SCHEMA.parse_v1, {"instances": [row]})
    assert fits("V2Request", second)
    assert is_taken(parse_second, second)


@given(st.sampled_from([name for name in FLIGHT if name != "scheduled_at"]), VALUES)
def test_a_value_fits_the_document_as_it_is_taken_or_refused(name, value):
    row = {**FLIGHT, name: value}
    assert fits("V1Request", {"instances": [row]}) == is_taken(SCHEMA.parse_v1, {"instances": [row]})
    body = write_v2(SCHEMA, [FLIGHT])
    next(tensor for tensor in body["inputs"] if tensor["name"] == name)["data"] = [value]
    assert fits("V2Request", body) == is_taken(parse_second, body)


@pytest.mark.parametrize(
    "instances",
    [
        [],
        [{}],
        [{name: FLIGHT[name] for name in FLIGHT if name != "dest"}],
        [{**FLIGHT, "orgin": "EWR"}],
        [{**FLIGHT, "instance_id": 7}],
        [FLIGHT] * (SCHEMA.maximum_rows + 1),
    ],
    ids=["no row", "no column", "one column less", "misspelt", "id of no text", "too many rows"],
)
def test_a_body_that_is_refused_does_not_fit(instances):
    body = {"instances": instances}
    assert not fits("V1Request", body)
    assert not is_taken(SCHEMA.parse_v1, body)
