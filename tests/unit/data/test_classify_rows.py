"""Every row has one fate, and a reason when it is not accepted."""

import re
from contextlib import closing

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.base.adapters.duckdb import DuckDBEngine
from components.base.contract.problem import Reference
from components.base.errors import ContractError
from components.data.classify_rows import FateCounts, classify_source, reference_order
from tests.unit.data.trips import make_problem

COLUMNS = ("trip", "city", "fare", "started_at")
TEXT = pa.schema(
    [(name, pa.string()) for name in (*COLUMNS, "_drop", "_fault")] + [("_row", pa.int64()), ("_id", pa.int64())]
)
DAY = "2013-01-05"


@pytest.fixture(scope="module")
def engine():
    with closing(DuckDBEngine(threads=1)) as opened:
        opened.execute("CREATE VIEW cities AS SELECT unnest(['PARIS', 'ROME']) AS city")
        yield opened


def classify(engine, folder, rows, problem=None):
    """Judge rows of (trip, city, fare, started_at); a row of one text is an unreadable line."""
    source = (problem or make_problem()).sources["trips"]
    delivered = [
        {**dict(zip(COLUMNS, row, strict=True)), "_fault": None} if len(row) > 1 else {"_fault": row[0]} for row in rows
    ]
    lineage = [{"_drop": "d", "_row": place, "_id": place} for place in range(len(rows))]
    raw = pa.Table.from_pylist([a | b for a, b in zip(delivered, lineage, strict=True)], schema=TEXT)
    engine.connection.register("raw", raw)
    return classify_source(engine, "trips", source, "raw", folder / "trips.parquet")


def reasons(engine):
    found = engine.execute("SELECT _id, words FROM trips_reasons ORDER BY _id, place").fetchall()
    return {row: [words for other, words in found if other == row] for row, _ in found}


def filtered(engine):
    return dict(engine.execute("SELECT _id, name FROM trips_filtered").fetchall())


def test_accepted_rows_are_typed_and_derived_columns_computed(engine, tmp_path):
    counts = classify(engine, tmp_path, [("7", "ROME", None, "2013-01-05T10:00:00-05:00")])
    assert counts == FateCounts(rows_in=1, accepted=1, filtered=0, quarantined=0)
    table = pd.read_parquet(tmp_path / "trips.parquet")
    assert table.iloc[0].drop("fare").to_dict() == {
        "trip": 7,
        "city": "ROME",
        "started_at": pd.Timestamp("2013-01-05T15:00:00Z"),
        "known_at": pd.Timestamp("2013-01-05T15:07:00Z"),
    }
    assert str(table["known_at"].dtype) == "datetime64[us, UTC]"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (("x", "ROME", "1", DAY), ["trip must be a whole number, but got 'x'"]),
        (("5.5", "ROME", "1", DAY), ["trip must be a whole number, but got '5.5'"]),
        (("0x10", "ROME", "1", DAY), ["trip must be a whole number, but got '0x10'"]),
        (
            ("9007199254740992.6", "ROME", "1", DAY),
            [f"trip must be {words}, but got '9007199254740992.6'" for words in ("a whole number", "at most 1000")],
        ),
        ((None, "ROME", "1", DAY), ["trip must be given, but got nothing"]),
        (("0", "ROME", "1", DAY), ["trip must be at least 1, but got '0'"]),
        (("1", "ROME", "nan", DAY), ["fare must be a finite number, but got 'nan'"]),
        (
            ("1", "ROME", "inf", DAY),
            ["fare must be a finite number, but got 'inf'"],
        ),
        (("1", "ROME", "-0.01", DAY), ["fare must be at least 0 EUR, but got '-0.01'"]),
        (
            ("1", "ROME", "1", "2013-02-30"),
            ["started_at must be a date and time, its zone as an offset, but got '2013-02-30'"],
        ),
        (
            ("1", "ROME", "1", "2013-01-02 03:04:05 EST"),
            ["started_at must be a date and time, its zone as an offset, but got '2013-01-02 03:04:05 EST'"],
        ),
        *(
            (("1", "ROME", "1", day), [f"started_at must be from 1990-01-01 to 2099-12-30, but got '{day}'"])
            for day in ("0001-01-01", "1900-01-01", "1970-01-01", "2099-12-31", "9999-12-31")
        ),
        (
            ("1", "ROME", "1", "infinity"),
            ["started_at must be a date and time, its zone as an offset, but got 'infinity'"],
        ),
        (
            ("1001", "ROME", "101", DAY),
            ["trip must be at most 1000, but got '1001'", "fare must be at most 100 EUR, but got '101'"],
        ),
        (("1", "OSLO", "1", DAY), ["city must be in cities (city), but got 'OSLO'. No tariff there"]),
        (
            ("1", "OSLO", "x", DAY),
            [
                "fare must be a finite number, but got 'x'",
                "city must be in cities (city), but got 'OSLO'. No tariff there",
            ],
        ),
        (("the line must be readable",), ["the line must be readable"]),
    ],
)
def test_reasons_say_what_must_hold_and_what_came(engine, tmp_path, row, words):
    assert classify(engine, tmp_path, [row]).quarantined == 1
    assert reasons(engine) == {0: words}


def test_whole_numbers_may_be_written_as_floats(engine, tmp_path):
    assert classify(engine, tmp_path, [("5.0", "ROME", "1e1", DAY)]).accepted == 1


def test_derived_column_is_blamed_only_when_the_delivered_ones_are_right(engine, tmp_path):
    columns = make_problem().sources["trips"].columns
    column = columns["known_at"].model_copy(
        update={"expression": "started_at + to_minutes(CAST(1 / (trip - 5) AS BIGINT) // (trip - 5))"}
    )
    source = make_problem().sources["trips"].model_copy(update={"columns": {**columns, "known_at": column}})
    problem = make_problem().model_copy(update={"sources": {"trips": source}})
    classify(engine, tmp_path, [("5", "ROME", "1", DAY), ("x", "ROME", "1", DAY)], problem)
    found = reasons(engine)
    assert found[0] == [f"known_at must be computable as {column.expression}, but got nothing"]
    assert found[1] == ["trip must be a whole number, but got 'x'"]


def test_allowed_values_and_patterns_are_checked(engine, tmp_path):
    columns = make_problem().sources["trips"].columns
    city = columns["city"].model_copy(update={"allowed": ["ROME", "O'HARE"], "pattern": "^[A-Z]+$"})
    source = make_problem().sources["trips"].model_copy(update={"columns": {**columns, "city": city}, "references": []})
    problem = make_problem().model_copy(update={"sources": {"trips": source}})
    rows = [("1", "O'HARE", "1", DAY), ("2", "Rome", "1", DAY)]
    counts = classify(engine, tmp_path, rows, problem)
    assert (counts.accepted, counts.quarantined) == (0, 2)
    assert reasons(engine) == {
        0: ["city must match ^[A-Z]+$, but got 'O'HARE'"],
        1: ["city must be one of ROME, O'HARE, but got 'Rome'", "city must match ^[A-Z]+$, but got 'Rome'"],
    }


def test_newest_of_contradicting_rows_wins_and_repeated_ones_are_duplicates(engine, tmp_path):
    rows = [
        ("1", "ROME", "5", DAY),
        ("1", "ROME", None, DAY),
        ("2", "ROME", None, DAY),
        ("1", "ROME", "5.0", DAY),
        ("2", "ROME", None, DAY),
        ("3", "ROME", "1", DAY),
    ]
    counts = classify(engine, tmp_path, rows)
    assert counts == FateCounts(rows_in=6, accepted=3, filtered=3, quarantined=0)
    assert filtered(engine) == {0: "duplicate_delivery", 1: "superseded", 2: "duplicate_delivery"}


def test_broken_delivery_replaces_nothing(engine, tmp_path):
    classify(engine, tmp_path, [("1", "ROME", "5", DAY), ("1", "ROME", "500", DAY)])
    assert pd.read_parquet(tmp_path / "trips.parquet")["fare"].tolist() == [5.0]
    assert filtered(engine) == {}


def test_filter_of_the_contract_drops_by_its_name_and_never_on_unknown(engine, tmp_path):
    counts = classify(engine, tmp_path, [("1", "ROME", "0", DAY), ("2", "ROME", None, DAY)])
    assert (counts.accepted, counts.filtered) == (1, 1)
    assert filtered(engine) == {0: "free"}


NUMBERS = st.sampled_from(["1", "2", "3", "3.5", "999", "1001", "", "x", "nan", "-1"])
CITIES = st.sampled_from(["ROME", "PARIS", "OSLO", None])
FARES = st.sampled_from(["0", "50", "1e2", "100.5", "NaN", None, "'; DROP TABLE raw"])
MOMENTS = st.sampled_from([DAY, "2013-01-05T10:00:00Z", "2013-02-30", None, "now"])
ROWS = st.one_of(st.tuples(NUMBERS, CITIES, FARES, MOMENTS), st.just(("unreadable",)))


@settings(max_examples=20, deadline=None)
@given(rows=st.lists(ROWS, max_size=30))
def test_rows_in_are_accepted_filtered_or_quarantined(engine, tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("classified")
    counts = classify(engine, folder, rows)
    accepted = pd.read_parquet(folder / "trips.parquet")
    assert counts.rows_in == len(rows) == counts.accepted + counts.filtered + counts.quarantined
    assert counts.accepted == len(accepted)
    assert counts.quarantined == len(reasons(engine))
    assert not set(reasons(engine)) & set(filtered(engine))
    # What the contract promises holds for every accepted row, computed without the code under test.
    assert accepted["trip"].between(1, 1000).all()
    assert accepted["trip"].is_unique
    assert (accepted["fare"].isna() | ((accepted["fare"] > 0) & (accepted["fare"] <= 100))).all()
    assert accepted["city"].isin(["PARIS", "ROME"]).all()
    assert accepted[["started_at", "known_at"]].notna().all(axis=None)


def test_sources_are_classified_after_those_they_refer_to_and_never_in_circles():
    problem = make_problem()
    assert reference_order(problem) == ["cities", "trips"]
    back = Reference(columns=["city"], source="trips", to=["city"], orphans="keep", reason="circle")
    cities = problem.sources["cities"].model_copy(update={"references": [back]})
    words = "sources: references must not form a circle, but got"
    with pytest.raises(ContractError, match=re.escape(words)):
        reference_order(problem.model_copy(update={"sources": {**problem.sources, "cities": cities}}))
