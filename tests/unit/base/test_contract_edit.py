"""An entry is added to a contract's text, and nothing else in it changes."""

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from components.base.contract.edit import add_field, add_item
from components.base.contract.load import parse_problem
from components.base.errors import ContractError

FLIGHTS = (Path(__file__).parents[3] / "pipelines" / "problems" / "flight-delays.yaml").read_text()
FEED = FLIGHTS[FLIGHTS.index("sources:\n") : FLIGHTS.index("  weather:\n")]
BLOCK = """\
# The whole.
version: 3
sources:
  trips: # theirs
    columns:
      city:
        type: string # a town
        description: >-
          Where it
          begins

      # What it costs.
      fare: {type: float, description: Fare,
             unit: EUR}  # in cash
other: 1
"""
ITEM = {"name": "rows", "sql": 'SELECT count(*) FROM "trips"', "maximum": 10}
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)


def is_insertion(before, after):
    """Whether something was put into the text and every other character stayed."""
    added = len(after) - len(before)
    return any(before == after[:at] + after[at + added :] for at in range(len(before) + 1))


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(list(yaml.safe_load(FEED)["sources"]["flights"]["columns"])),
    st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.lists(texts), texts),
)
def test_any_value_is_added_to_any_column_and_every_other_character_stays(column, value):
    after = add_field(FEED, "flight-delays.yaml", ("sources", "flights", "columns", column, "new"), value)
    assert is_insertion(FEED, after)
    expected = yaml.safe_load(FEED)
    expected["sources"]["flights"]["columns"][column]["new"] = value
    assert yaml.safe_load(after) == expected


def test_values_that_yaml_reads_as_something_else_stay_texts():
    after = add_field(BLOCK, "trips.yaml", ("sources", "trips", "columns", "city", "allowed"), ["NO", "1e3", "9E", "#"])
    assert yaml.safe_load(after)["sources"]["trips"]["columns"]["city"]["allowed"] == ["NO", "1e3", "9E", "#"]


def test_field_stands_behind_the_last_one_of_its_column_and_comments_stay():
    city = add_field(BLOCK, "trips.yaml", ("sources", "trips", "columns", "city", "allowed"), ["ROME"])
    assert "          begins\n        allowed: [ROME]\n\n      # What it costs.\n" in city
    fare = add_field(BLOCK, "trips.yaml", ("sources", "trips", "columns", "fare", "minimum"), 0)
    assert "             unit: EUR, minimum: 0}  # in cash\n" in fare


def test_item_is_added_to_a_list_in_block_style_in_brackets_or_that_is_missing():
    listed = '- {name: rows, sql: SELECT count(*) FROM "trips", maximum: 10}\n'
    missing = add_item(BLOCK, "trips.yaml", "assumptions", ITEM)
    assert missing == f"{BLOCK}\nassumptions:\n  {listed}"
    second = add_item(missing, "trips.yaml", "assumptions", {"name": "b"})
    assert second == f"{missing}  - {{name: b}}\n"
    for brackets in ("[]", "[{name: a}]", "[\n  {name: a}, # why\n]"):
        before = f"assumptions: {brackets} # kept\n{BLOCK}"
        after = add_item(before, "trips.yaml", "assumptions", ITEM)
        assert yaml.safe_load(after)["assumptions"][-1] == ITEM
        assert is_insertion(before, after)


def test_flight_contract_takes_another_assumption_and_is_valid():
    item = {"name": "routes", "statement": "Few routes", "sql": "SELECT 1", "maximum": 2, "on_violation": "warn"}
    after = add_item(FLIGHTS, "flight-delays.yaml", "assumptions", item)
    assert parse_problem(after, "x").assumptions[-1].name == "routes"
    assert is_insertion(FLIGHTS, after)
    assert (
        "\n  - {name: routes, statement: Few routes, sql: SELECT 1, maximum: 2, on_violation: warn}\n\nslices:" in after
    )


def test_what_is_there_already_changes_nothing():
    place = ("sources", "trips", "columns", "fare", "minimum")
    once = add_field(BLOCK, "trips.yaml", place, 0)
    assert add_field(once, "trips.yaml", place, 0.0) == once
    once = add_item(BLOCK, "trips.yaml", "assumptions", ITEM)
    assert add_item(once, "trips.yaml", "assumptions", ITEM) == once


def test_what_says_something_else_is_refused_with_its_line():
    words = "trips.yaml:14 `sources.trips.columns.fare.unit` must not be in the contract, or be USD, but is EUR."
    with pytest.raises(ContractError, match=re.escape(words)):
        add_field(BLOCK, "trips.yaml", ("sources", "trips", "columns", "fare", "unit"), "USD")
    once = add_item(BLOCK, "trips.yaml", "assumptions", ITEM)
    with pytest.raises(
        ContractError, match=r"`assumptions.0` must not be in the contract, or be {name: rows, maximum: 3}"
    ):
        add_item(once, "trips.yaml", "assumptions", {"name": "rows", "maximum": 3})


def test_section_that_is_gone_is_named():
    with pytest.raises(
        ContractError, match=re.escape("`sources.trips.columns.tip` must be a section to add `minimum`")
    ):
        add_field(BLOCK, "trips.yaml", ("sources", "trips", "columns", "tip", "minimum"), 0)


@pytest.mark.parametrize("layout", ["a: &one {x: 1}\nb: *one\n", "b:\n  x: |+\n    1\n\nc: 1\n"])
def test_layout_in_which_more_would_change_is_refused(layout):
    with pytest.raises(ContractError, match=r"`b\.y` y: 2 must be added by hand"):
        add_field(layout, "odd.yaml", ("b", "y"), 2)
