"""A snapshot becomes accepted rows, a quarantine, a quality report and a dictionary; broken limits stop the run."""

import json
import re

import pandas as pd
import pytest

from components.base.contract.problem import Assumption, Freshness, Volume
from components.base.documents import read
from components.base.errors import DataError
from components.data.dictionary import Dictionary
from components.data.ingest import ingest_sources
from components.data.quality import FilterRows, Quality, RowsByFate
from components.data.validate import validate_snapshot
from tests.unit.data.trips import AS_OF, TRIPS, make_problem


def land_months(zone, *months, rows=20):
    """Land the months of 2013, every row in the middle of its month."""
    for month in months:
        start = month * 100
        zone.land_trips(
            f"2013-{month:02d}.csv", *(f"{start + n},ROME,{n},2013-{month:02d}-15" for n in range(1, rows + 1))
        )


@pytest.fixture
def run(zone, store, tmp_path):
    """Ingest and validate; return the quality report and the folder."""

    def ingest_and_validate(problem):
        return validate_snapshot(problem, ingest_sources(problem, AS_OF, store), tmp_path), tmp_path

    return ingest_and_validate


def test_folder_holds_tables_quarantine_quality_and_dictionary(zone, run, problem):
    land_months(zone, 1, 2, 3)
    zone.land_trips("2013-03-b.csv", "999,OSLO,5,2013-03-02", "998,ROME,x,2013-03-02", "301,ROME,50,2013-03-15")
    quality, folder = run(problem)
    assert {path.name for path in folder.iterdir()} == {
        "trips.parquet",
        "cities.parquet",
        "quarantine.parquet",
        "quality.json",
        "dictionary.json",
    }
    assert read(Quality, folder / "quality.json") == quality
    assert quality.rows == RowsByFate(delivered=65, accepted=62, filtered=1, quarantined=2)
    trips = quality.sources["trips"]
    assert {entry.name: entry.rows for entry in trips.filters} == {
        "duplicate_delivery": 0,
        "superseded": 1,
        "free": 0,
    }
    assert [(fault.check, fault.rows, fault.row) for fault in trips.problems] == [
        ("city.reference", 1, 2),
        ("fare.type", 1, 3),
    ]
    assert trips.problems[1].delivery == "landing/trips/trips/2013-03-b.csv"


def test_quarantined_rows_keep_text_origin_and_all_reasons(zone, run, problem):
    land_months(zone, 1)
    zone.land_trips("2013-02.csv", '9999,OSLO,"1,5",2013-02-02')
    _, folder = run(problem)
    row = pd.read_parquet(folder / "quarantine.parquet").iloc[0]
    assert (row["source"], row["drop"], row["row"]) == ("trips", "landing/trips/trips/2013-02.csv", 2)
    assert list(row["checks"]) == ["trip.maximum", "fare.type", "city.reference"]
    assert list(row["reasons"])[1] == "fare must be a finite number, but got '1,5'"
    assert json.loads(row["raw"]) == {
        "trip": "9999",
        "city": "OSLO",
        "fare": "1,5",
        "started_at": "2013-02-02",
        "_fault": None,
    }


def test_quality_keeps_its_keys_on_disk(zone, run, problem):
    """Reports of earlier runs are read too, and people read the file."""
    land_months(zone, 1)
    zone.land_trips("2013-02.csv", "999,OSLO,5,2013-02-02")
    _, folder = run(problem)
    written = json.loads((folder / "quality.json").read_text())
    assert written["rows"] == {"in": 23, "accepted": 22, "filtered": 0, "quarantined": 1}
    trips = written["sources"]["trips"]
    assert [drop["key"] for drop in trips["drops"]] == [f"landing/trips/trips/2013-0{n}.csv" for n in (1, 2)]
    assert trips["problems"][0]["drop"] == "landing/trips/trips/2013-02.csv"
    assert written["outcomes"]["totals"] == {"rows": 20, "positive": 0, "unpaid": 0}


def test_same_snapshot_gives_the_same_files(zone, run, problem, store, tmp_path):
    land_months(zone, 1, 2, 3)
    run(problem)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    run(problem)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_too_many_quarantined_rows_stop_the_run_with_the_worst_reasons_and_leave_the_files(zone, run, tmp_path):
    problem = make_problem({"maximum_quarantine_ratio": 0.1})
    land_months(zone, 1)
    zone.land_trips("2013-02.csv", *(f"{n},OSLO,5,2013-02-02" for n in range(201, 211)))
    words = (
        "validate trips: trips: at most 10.00% of the rows may be quarantined, but got 33.33% (10 of 30). "
        "Most often 10 rows: city must be in cities (city), but got 'OSLO'. No tariff there."
    )
    with pytest.raises(DataError, match=re.escape(words)):
        run(problem)
    assert len(pd.read_parquet(tmp_path / "quarantine.parquet")) == 10
    assert read(Quality, tmp_path / "quality.json").verdict == "stop"


def test_all_broken_limits_are_in_one_error(zone, run):
    problem = make_problem(
        {
            "freshness": Freshness(warn_hours=24, stop_hours=48),
            "volume": Volume(minimum_ratio=0.5, maximum_ratio=2),
        },
        assumptions=[
            Assumption(
                name="dear",
                statement="Trips are dear",
                sql="SELECT avg(fare) FROM trips",
                minimum=50,
                on_violation="stop",
            )
        ],
    )
    land_months(zone, 1, 2)
    with pytest.raises(DataError) as caught:
        run(problem)
    words = str(caught.value)
    assert words.startswith("validate trips: 3 faults.")
    assert "trips: the newest row must be at most 48 hours old at as_of, but got" in words
    assert "the rows a day of 2013-03 must be 0.5 to 2 times the median of earlier months, but got 0.00 times" in words
    assert "assumption dear: Trips are dear, but 10.5 must be at least 50." in words


def test_month_that_never_came_in_between_is_a_warning(zone, run):
    problem = make_problem({"volume": Volume(minimum_ratio=0.5, maximum_ratio=3)})
    for year_month, first in (("2012-10", 1), ("2012-11", 30)):
        zone.land_trips(f"{year_month}.csv", *(f"{first + n},ROME,1,{year_month}-01" for n in range(20)))
    land_months(zone, 1, 2, 3)
    quality, _ = run(problem)
    assert quality.verdict == "warn"
    assert quality.warnings == (
        "trips: nothing was delivered for 2012-12.",
        "trips: 2012-12 has 0.00 times the rows a day of the months before.",
    )
    months = {month.month: month.rows for month in quality.sources["trips"].volume.months}
    assert months["2012-12"] == 0


def test_delivery_of_several_months_leaves_out_none_of_them(zone, run, problem):
    zone.land_trips("2013-01.csv", *(f"{n},ROME,1,2013-0{1 + n % 3}-01" for n in range(1, 10)))
    quality, _ = run(problem)
    assert not [words for words in quality.warnings if "nothing was delivered" in words]


def test_source_that_was_silent_for_decades_is_said_in_one_sentence(zone, run):
    zone.land_trips("1970-01.csv", "1,ROME,1,1970-01-01")
    zone.land_trips("2013-02.csv", "2,ROME,1,2013-02-01")
    quality, _ = run(make_problem({"volume": Volume(minimum_ratio=0, maximum_ratio=1e9)}))
    (words,) = [words for words in quality.warnings if "nothing was delivered" in words]
    assert words == (
        "trips: nothing was delivered for 1970-02, 1970-03, 1970-04, 1970-05, 1970-06, 1970-07 and 511 more."
    )


@pytest.mark.parametrize("day", ["0001-01-01", "1900-01-01", "1970-01-01", "2099-12-31", "9999-12-31"])
def test_placeholder_of_a_date_is_set_aside_and_disarms_no_limit(zone, run, tmp_path, day):
    problem = make_problem({"volume": Volume(minimum_ratio=0.6, maximum_ratio=1.6)})
    land_months(zone, 1, 2)
    zone.land_trips("2013-03.csv", "301,ROME,1,2013-03-15", f"302,ROME,1,{day}")
    with pytest.raises(
        DataError, match=re.escape("trips: the rows a day of 2013-03 must be 0.6 to 1.6 times the median")
    ):
        run(problem)
    (row,) = pd.read_parquet(tmp_path / "quarantine.parquet").itertuples()
    assert (row.row, list(row.checks)) == (3, ["started_at.range"])
    assert list(row.reasons) == [f"started_at must be from 1990-01-01 to 2099-12-30, but got '{day}'"]


def test_days_that_the_contract_finds_plausible_are_accepted(zone, run):
    column = {**TRIPS["columns"]["started_at"], "earliest": "1900-01-01"}
    known_at = {**TRIPS["columns"]["known_at"], "earliest": "1900-01-01"}
    problem = make_problem({"columns": {**TRIPS["columns"], "started_at": column, "known_at": known_at}})
    zone.land_trips("2013-01.csv", "1,ROME,1,1900-01-01", "2,ROME,1,1899-12-31")
    quality, _ = run(problem)
    assert (quality.sources["trips"].accepted, quality.sources["trips"].quarantined) == (1, 1)


def test_name_of_a_zone_moves_no_other_row(zone, run):
    rows = [f"{n},ROME,1,2013-01-03 00:00:00" for n in range(2, 1001)]
    zone.land_trips("2013-01.csv", "1,ROME,1,2013-01-02 03:04:05 EST", *rows)
    quality, folder = run(make_problem())
    assert pd.read_parquet(folder / "trips.parquet")["started_at"].unique().tolist() == [
        pd.Timestamp("2013-01-03", tz="UTC")
    ]
    (problem,) = quality.sources["trips"].problems
    assert (problem.check, problem.rows) == ("started_at.type", 1)


def test_volume_without_earlier_months_is_named_as_not_judged(zone, run):
    land_months(zone, 3)
    quality, _ = run(make_problem({"volume": Volume(minimum_ratio=0.6, maximum_ratio=1.6)}))
    assert quality.warnings == ("trips: the volume is not judged: its limits need a whole month and 2 before it.",)


def test_volume_that_empty_months_keep_from_being_judged_stops_the_run(zone, run):
    problem = make_problem({"volume": Volume(minimum_ratio=0.6, maximum_ratio=1.6)})
    zone.land_trips("2012-09.csv", "1,ROME,1,2012-09-01")
    land_months(zone, 3)
    with pytest.raises(DataError, match=re.escape("but that is 0 rows: the volume cannot be judged.")):
        run(problem)


def test_a_file_delivered_twice_counts_once(zone, run, problem):
    for name in ("2013-01.csv", "2013-01-again.csv"):
        zone.land_trips(name, *(f"{n},ROME,{n},2013-01-01" for n in range(1, 11)))
    quality, folder = run(problem)
    assert quality.rows == RowsByFate(delivered=22, accepted=12, filtered=10, quarantined=0)
    assert quality.sources["trips"].filters[0].rows == 10
    assert pd.read_parquet(folder / "trips.parquet")["trip"].is_unique


def test_late_rows_of_older_months_are_accepted_and_corrections_win(zone, run, problem):
    zone.land_trips("2013-01.csv", "1,ROME,1,2013-01-01", "2,ROME,2,2013-01-02")
    zone.land_trips("2013-03.csv", "3,ROME,3,2013-01-03", "1,ROME,99,2013-01-01")
    quality, folder = run(problem)
    table = pd.read_parquet(folder / "trips.parquet").set_index("trip")["fare"]
    assert table.to_dict() == {1: 99, 2: 2, 3: 3}
    assert quality.sources["trips"].filters[1] == FilterRows(
        name="superseded", reason="A newer delivery holds the same key with other values", rows=1
    )


def test_outcomes_are_counted_by_month(zone, run, problem):
    zone.land_trips("2013-01.csv", "1,ROME,51,2013-01-01", "2,ROME,,2013-01-02", "3,ROME,2,2013-02-01")
    quality, _ = run(problem)
    assert quality.outcomes.model_dump() == {
        "source": "trips",
        "target": "dear",
        "totals": {"rows": 3, "positive": 1, "unpaid": 1},
        "months": (
            {"month": "2013-01", "rows": 2, "positive": 1, "unpaid": 1},
            {"month": "2013-02", "rows": 1, "positive": 0, "unpaid": 0},
        ),
    }
    assert quality.outcomes.totals.count("unpaid") == 1


def test_source_without_an_accepted_row_stops_the_run(zone, run, problem):
    zone.land_trips("2013-01.csv")
    with pytest.raises(DataError, match=re.escape("trips: at least one row must be accepted, but none of 0 is.")):
        run(problem)


def test_dictionary_agrees_with_pandas(zone, run, problem):
    land_months(zone, 1, 2)
    zone.land_trips("2013-03.csv", "301,PARIS,,2013-03-01", "302,PARIS,7.25,2013-03-01")
    _, folder = run(problem)
    table = pd.read_parquet(folder / "trips.parquet")
    described = read(Dictionary, folder / "dictionary.json").sources["trips"]
    assert described.rows == len(table) == 42
    columns = {column.name: column for column in described.columns}
    fare = columns["fare"]
    assert fare.missing_ratio == pytest.approx(table["fare"].isna().mean(), rel=1e-5)
    assert fare.mean == pytest.approx(table["fare"].mean(), rel=1e-5)
    assert fare.median == pytest.approx(table["fare"].median(), rel=1e-5)
    assert (fare.minimum, fare.maximum, fare.distinct) == (1, 20, table["fare"].nunique())
    assert (fare.unit, fare.range, fare.origin) == ("EUR", "0 to 100 EUR", "delivered")
    assert columns["known_at"].origin == "derived"
    assert columns["known_at"].maximum == table["known_at"].max().isoformat()
    assert [value.value for value in columns["city"].top] == ["ROME", "PARIS"]
    by_month = table["fare"].groupby(table["started_at"].dt.strftime("%Y-%m"))
    assert [point.mean for point in fare.trend] == pytest.approx(by_month.mean().tolist(), rel=1e-5)
    assert [point.missing_ratio for point in fare.trend] == [0.0, 0.0, 0.5]
    assert columns["city"].trend[0].mean is None
