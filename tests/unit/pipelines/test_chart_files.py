"""The chart's schema and README are generated from the comments of values.yaml."""

import json

import jsonschema
import pytest

from components.base.errors import PermanentError
from pipelines.commands.chart_files import read_values, render_readme, render_schema

TEXT = """\
# About the file.

# The store.
store:
  # `false`: an external one.
  embedded: true
  # Its port, as | separates.
  # schema: {minimum: 1, maximum: 65535}
  port: 5432
  # schema: {$ref: "#/$defs/resources"}
  resources:
    requests: {cpu: 100m, memory: 1Gi}
    limits: {cpu: "1", memory: 1Gi}

# Labels for
# everything.
# schema: {additionalProperties: {type: string}}
labels: {}
"""


def check(values):
    schema = json.loads(render_schema(read_values(TEXT)))
    return sorted(fault.json_path for fault in jsonschema.Draft7Validator(schema).iter_errors(values))


def test_a_key_has_its_comment_and_its_annotation():
    values = {".".join(value.path): value for value in read_values(TEXT)}
    assert list(values) == ["store", "store.embedded", "store.port", "store.resources", "labels"]
    assert values["store"].text == "The store."
    assert values["labels"].text == "Labels for everything."
    assert values["store.port"].schema == {"minimum": 1, "maximum": 65535}
    assert values["store"].is_section
    assert not values["labels"].is_section


def test_the_schema_is_closed_typed_and_bounded():
    assert check({"store": {"embedded": False, "port": 1}, "labels": {"a": "b"}}) == []
    assert check({"stores": {}}) == ["$"]
    assert check({"store": {"ports": 1}}) == ["$.store"]
    assert check({"store": {"port": 0}}) == ["$.store.port"]
    assert check({"store": {"embedded": "yes"}}) == ["$.store.embedded"]
    assert check({"labels": {"a": 1}}) == ["$.labels.a"]
    assert check({"store": {"resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}}) == ["$.store.resources"]


def test_the_readme_has_each_value_with_default_meaning_and_limits():
    page = render_readme(read_values(TEXT), ["DataLate"])
    assert "| `store.port` | `5432` | Its port, as \\| separates. At least `1`, at most `65535`. |" in page
    assert "### labels\n\nLabels for everything. Default: empty.\n" in page
    assert "[DataLate](runbooks/DataLate.md)" in page
    assert "\n\n\n" not in page


def test_a_value_without_a_comment_is_refused_by_its_name():
    with pytest.raises(PermanentError, match=r"`store\.port` must have a comment above it"):
        read_values("# The store.\nstore:\n  port: 5432\n")


def test_an_annotation_that_is_no_mapping_is_refused():
    with pytest.raises(PermanentError, match="`port` must be a mapping"):
        read_values("# Its port.\n# schema: [1, 2]\nport: 5432\n")
