"""A change of the data itself is found between two snapshots, and two months of the same data have none."""

import io
import re

import numpy as np
import pandas as pd
import pytest

from components.base.contract.load import load_problem
from components.base.times import parse_time
from components.data.ingest import ingest_sources
from components.data.run_end import find_earlier_quality, publish_quality
from components.data.validate import validate_snapshot
from pipelines.simulation.demo_data import land_deliveries
from tests.unit.data.trips import FLIGHTS, TRIPS, make_problem

COLUMNS = {
    "trip": {"type": "int", "description": "Number"},
    "city": {"type": "string", "description": "City"},
    "tariff": {"type": "string", "description": "Tariff", "nullable": True},
    "length": {"type": "float", "description": "Length", "unit": "miles", "nullable": True},
    "started_at": {"type": "timestamp", "description": "Start"},
    "known_at": {"type": "timestamp", "description": "End", "expression": "started_at"},
}
PROBLEM = make_problem(trips={**TRIPS, "columns": COLUMNS, "filters": []})
PROBLEM = PROBLEM.model_copy(
    update={"target": PROBLEM.target.model_copy(update={"expression": "length > 5", "outcomes": {}})}
)


def draw_month(month, seed=0, per_day=40):
    """Draw a month of trips, so many a day."""
    random = np.random.default_rng(100 * seed + month)
    starts = pd.date_range(f"2013-{month:02d}-01", periods=28 * per_day, freq=f"{24 * 60 // per_day}min")
    return pd.DataFrame(
        {
            "trip": np.arange(len(starts)) + 10_000 * month,
            "city": random.choice(["ROME", "PARIS"], len(starts)),
            "tariff": random.choice(["day", "night", "weekend"], len(starts)),
            "length": np.round(random.lognormal(1, 0.6, len(starts)), 3),
            "started_at": starts.strftime("%Y-%m-%d %H:%M"),
        }
    )


def land(zone, month, rows):
    zone.land(f"trips/2013-{month:02d}.csv", rows.to_csv(index=False))


def check(store, folder, as_of, problem=PROBLEM):
    """Ingest and validate as the pipeline does."""
    snapshot = ingest_sources(problem, parse_time(as_of), store)
    earlier = find_earlier_quality(store, problem.name, snapshot.as_of)
    quality = validate_snapshot(problem, snapshot, folder, earlier)
    publish_quality(store, quality)
    return quality


@pytest.fixture
def compare(zone, store, tmp_path):
    """Validate two months, then a third one that was changed; return the report of the latter."""

    def validate_both(change, per_day=40):
        for month in (1, 2):
            land(zone, month, draw_month(month))
        assert check(store, tmp_path, "2013-03-01").changes == ()
        land(zone, 3, change(draw_month(3, per_day=per_day)))
        return check(store, tmp_path, "2013-04-01")

    return validate_both


def rename_some(rows):
    return rows.assign(tariff=rows["tariff"].where(np.arange(len(rows)) % 50 > 0, "holiday"))


def empty(rows):
    return rows.assign(length="")


def empty_some(rows):
    return rows.assign(tariff=rows["tariff"].where(np.arange(len(rows)) % 2 > 0, ""))


def convert(rows):
    return rows.assign(length=rows["length"] * 1.609344)


PLANTED = [
    (rename_some, "category", "tariff", "trips.tariff has 'holiday' in 23 of 1,120 new rows, and in none before"),
    (empty, "empty", "length", "trips.length is empty in 100.0% of the new rows, before in 0.0%"),
    (empty_some, "missing", "tariff", "trips.tariff is missing in 50.0% of the new rows, before in 0.0%"),
    (
        convert,
        "unit",
        "length",
        "as if its unit had changed from miles to kilometres (x 1.609); the contract says miles",
    ),
]


@pytest.mark.parametrize(("change", "kind", "column", "words"), PLANTED)
def test_a_change_is_found_with_its_place_and_warned_of(compare, caplog, change, kind, column, words):
    caplog.set_level("INFO")
    quality = compare(change)
    (found,) = quality.changes
    assert (found.source, found.column, found.kind) == ("trips", column, kind)
    assert words in found.words
    assert found.words.endswith("(trips/trips/2013-03.csv).")
    assert quality.compared_with == parse_time("2013-03-01")
    assert (quality.verdict, quality.warnings) == ("warn", (found.words,))
    assert caplog.messages[-1].endswith(f"1 warnings; changed: trips.{column}")


def test_rows_of_a_day_that_jump_are_found(compare):
    (found,) = compare(lambda rows: rows, per_day=160).changes
    assert (found.kind, found.column) == ("volume", None)
    assert found.words.startswith("trips has 160 rows on a day of the new ones, and had 39 to 40 a day before")


def test_a_month_like_those_before_has_no_change(compare):
    assert compare(lambda rows: rows).changes == ()


def test_a_change_is_found_by_all_runs_of_a_day_and_is_known_to_those_two_days_later(zone, store, tmp_path):
    land(zone, 2, draw_month(2, per_day=120))
    march = draw_month(3, per_day=120)
    is_holiday = (march["started_at"] >= "2013-03-03") & (np.arange(len(march)) % 20 == 0)
    land(zone, 3, march.assign(tariff=march["tariff"].mask(is_holiday, "holiday")))
    times = [f"2013-03-{day:02d}T{hour}:00" for day in (2, 3, 4, 5) for hour in ("05", "06")]
    found = {time: [change.column for change in check(store, tmp_path, time).changes] for time in times}
    # Of the 3rd itself there are few rows yet.
    assert {time: columns for time, columns in found.items() if columns} == {
        "2013-03-04T05:00": ["tariff"], "2013-03-04T06:00": ["tariff"]
    }  # fmt: skip


def test_a_register_is_compared_as_a_whole(zone, store, tmp_path):
    def register(rows, kind):
        return "\n".join(["city,kind", *(f"{place},{kind}" for place in rows), ""])

    names = ["".join(chr(65 + number // 26**power % 26) for power in range(3)) for number in range(600)]
    columns = {
        "city": {"type": "string", "description": "City", "pattern": "^[A-Z]+$"},
        "kind": {"type": "string", "description": "Kind"},
    }
    cities = type(PROBLEM.sources["cities"]).model_validate(
        {**PROBLEM.sources["cities"].model_dump(exclude_unset=True), "columns": columns}
    )
    problem = PROBLEM.model_copy(update={"sources": {**PROBLEM.sources, "cities": cities}})
    land(zone, 1, draw_month(1))
    zone.land("cities/2013-01-01.csv", register(["ROME", "PARIS", *names[:200]], "town"))
    assert check(store, tmp_path, "2013-02-01", problem).changes == ()
    zone.land("cities/2013-02-01.csv", register(["ROME", "PARIS", *names], "city"))
    changes = check(store, tmp_path, "2013-02-03", problem).changes
    assert [(change.source, change.column, change.kind) for change in changes] == [
        ("cities", "kind", "category"),
        ("cities", None, "volume"),
    ]
    assert "cities has 602 rows, and had 202" in changes[1].words


def test_a_column_that_is_no_longer_delivered_stops_ingest(compare):
    words = "landing/trips/trips/2013-03.csv: column 'tariff' must be delivered, but is missing."
    with pytest.raises(Exception, match=re.escape(words)):
        compare(lambda rows: rows.drop(columns="tariff"))


def test_months_of_the_flights_have_no_change_and_kilometres_have_one(store, store_settings, tmp_path, monkeypatch):
    """Of the demonstration's data, as they are, and with distances in kilometres from March on."""
    for name, value in store_settings.child_environment().items():
        monkeypatch.setenv(name, value)
    problem = load_problem(FLIGHTS)

    def to_kilometres(name, content):
        if name != "flights/2013-03.csv":
            return content
        rows = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)
        rows["distance"] = [str(float(miles) * 1.609344) for miles in rows["distance"]]
        return rows.to_csv(index=False).encode()

    for as_of, change in (
        ("2013-02-01", None),
        ("2013-03-01", None),
        ("2013-04-01", None),
        ("2013-04-01", to_kilometres),
    ):
        land_deliveries(problem.name, until=as_of, **({"change": change} if change else {}))
        changes = check(store, tmp_path, as_of, problem).changes
        assert [(one.source, one.column, one.kind) for one in changes] == (
            [("flights", "distance", "unit")] if change else []
        )
