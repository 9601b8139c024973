"""A finding of the training rows, once adopted, is a check of the contract that the next validation enforces."""

import numpy as np
import pandas as pd
import pytest
import yaml

from components.base.contract.load import load_problem
from components.base.dataset import Feature, Prepared
from components.base.errors import DataError
from components.data.ingest import ingest_sources
from components.data.validate import validate_snapshot
from components.features.explore.adopt import adopt_finding, find_proposing
from components.features.explore.explore import explore_training_rows
from components.tasks import open_task
from tests.unit.data.trips import AS_OF, CITIES, FLIGHTS, TRIPS

FEATURES = (
    Feature("city", "categorical", "request", "City"),
    Feature("price", "numeric", "request", "Fare", "EUR"),
    Feature("load", "numeric", "view", "Trips of the day"),
)
# Of many cities two are frequent enough for a finding about groups.
FEW = ["NO", "PARIS", "ROME"]
MANY = [*(f"CITY{number}" for number in range(60)), *["PARIS"] * 20, *["ROME"] * 20]


@pytest.fixture
def contract(tmp_path):
    """Write the contract of trips without any limit of city and fare, with the given changes of its source."""

    def write(**changes):
        content = yaml.safe_load(FLIGHTS.read_text())
        columns = TRIPS["columns"] | {
            "fare": {"type": "float", "description": "Fare", "unit": "EUR", "nullable": True},
            "city": {"type": "string", "description": "City"},
        }
        trips = TRIPS | {"columns": columns, "references": [], "filters": []} | changes
        target = content["target"] | {"name": "dear", "expression": "fare > 50", "outcomes": {}}
        request = {
            "city": {"transform": "identity", "columns": ["city"], "description": "City"},
            "price": {"transform": "identity", "columns": ["fare"], "description": "Fare"},
        }
        content |= {
            "name": "trips",
            "sources": {"trips": trips, "cities": CITIES},
            "examples": {"source": "trips", "key": ["trip"], "predicted_at": "started_at", "label_at": "known_at",
                         "request": ["trip", "city", "fare", "started_at"]},
            "target": target,
            "features": content["features"] | {"request": request},
            "baseline": content["baseline"] | {"group_by": ["city"]},
            "assumptions": [],
            "slices": [],
        }  # fmt: skip
        file = tmp_path / "trips.yaml"
        file.write_text(yaml.safe_dump(content, sort_keys=False))
        return file

    return write


def explore(file, cities=FEW, rows=4000, once=0, **changes):
    rng = np.random.default_rng(3)
    fare = np.where(np.arange(rows) % 40 == 0, np.nan, rng.uniform(5, 40, rows))
    city = rng.choice(cities, rows).astype(object)
    city[:once] = [f"ONCE{number}" for number in range(once)]
    start = pd.Timestamp("2013-01-01", tz="UTC") + pd.to_timedelta(np.sort(rng.integers(0, 60 * 24, rows)), unit="h")
    table = pd.DataFrame(
        {
            "trip": np.arange(rows), "city": city, "fare": fare, "price": fare, "load": rng.normal(9, 2, rows),
            "started_at": start.astype("datetime64[us, UTC]"), "dear": (rng.random(rows) < 0.3).astype("int8"),
        }
    )  # fmt: skip
    table = table.assign(predicted_at=table["started_at"], **changes)
    folder = file.with_name("prepared")
    folder.mkdir(exist_ok=True)
    table.to_parquet(folder / "train.parquet", index=False)
    prepared = Prepared(folder, "dear", FEATURES, {}, {"train": rows}, "")
    return explore_training_rows(open_task(load_problem(file)), prepared, file.with_name("explored"))


def list_lines(findings, name):
    return [proposal.line for one in findings.findings if one.id == name for proposal in one.proposals]


@pytest.fixture
def validate(store, tmp_path):
    (tmp_path / "accepted").mkdir()

    def run(file):
        problem = load_problem(file)
        return validate_snapshot(problem, ingest_sources(problem, AS_OF, store), tmp_path / "accepted")

    return run


@pytest.mark.parametrize(
    ("finding", "row", "check"),
    [
        ("distributions", "2,ROME,70,2013-01-15", "fare.maximum"),
        ("distributions", "2,ROME,-1,2013-01-15", "fare.minimum"),
        ("group_city", "2,OSLO,7,2013-01-15", "city.allowed"),
    ],
)
def test_row_that_breaks_an_adopted_limit_goes_to_quarantine(finding, row, check, contract, zone, validate):
    file = contract()
    zone.land_trips("2013-01.csv", "1,NO,57,2013-01-15", row)
    assert validate(file).rows.quarantined == 0
    assert adopt_finding(find_proposing(explore(file), finding), file)
    quality = validate(file)
    assert [(one.check, one.rows) for one in quality.sources["trips"].problems] == [(check, 1)]
    # Cities and the trip within the limits.
    assert quality.rows.accepted == 3


@pytest.mark.parametrize(
    ("finding", "cities", "rows", "words"),
    [
        ("missing_values", FEW, [f"{n},ROME,{'' if n <= 6 else n},2013-01-15" for n in range(1, 101)],
         "assumption missing_fare: At most 5% of trips lack fare"),
        ("group_city", MANY, [f"{n},TOWN{n},7,2013-01-15" for n in range(1, 95)],
         "assumption values_of_city: There are at most 93 different values of city"),
    ],
)  # fmt: skip
def test_rows_that_break_an_adopted_limit_together_stop_the_run(
    finding, cities, rows, words, *, contract, zone, validate
):
    file = contract()
    zone.land_trips("2013-01.csv", *rows)
    assert validate(file).faults == ()
    assert adopt_finding(find_proposing(explore(file, cities), finding), file)
    with pytest.raises(DataError, match=words):
        validate(file)
    zone.land_trips("2013-01.csv", *rows[6:])
    assert validate(file).faults == ()


def test_limits_follow_from_the_training_rows_with_their_margin(contract):
    findings = explore(contract())
    column = "sources.trips.columns.fare"
    # 5 to 40, and 17.5 more to both sides; below zero nothing was seen.
    assert list_lines(findings, "distributions") == [f"{column}.minimum: 0", f"{column}.maximum: 60"]
    assert list_lines(findings, "group_city") == ["sources.trips.columns.city.allowed: ['NO', PARIS, ROME]"]
    (line,) = list_lines(findings, "missing_values")
    assert line.startswith("assumptions: {name: missing_fare,")
    assert "maximum: 0.05, on_violation: stop}" in line


def test_far_values_and_gaps_that_speak_propose_the_same_limits(contract):
    fare = np.where(np.arange(4000) % 40 == 0, np.nan, 10 + np.arange(4000) % 7.0)
    fare[1:9] = 500
    dear = np.where(np.isnan(fare), np.arange(4000) % 80 == 0, np.arange(4000) % 10 == 0).astype("int8")
    findings = explore(contract(), fare=fare, price=fare, dear=dear)
    assert list_lines(findings, "outliers") == list_lines(findings, "distributions")
    assert list_lines(findings, "outliers")[1] == "sources.trips.columns.fare.maximum: 800"
    assert list_lines(findings, "speaking_gaps") == list_lines(findings, "missing_values")
    assert len(list_lines(findings, "speaking_gaps")) == 1


def test_what_the_contract_limits_already_is_not_proposed(contract):
    columns = TRIPS["columns"] | {"city": {"type": "string", "description": "City", "allowed": FEW}}
    columns["fare"] = columns["fare"] | {"nullable": False}
    findings = explore(contract(columns=columns))
    assert [one.id for one in findings.findings if one.proposals] == []


def test_column_that_a_filter_looks_at_gets_no_limit_of_a_row(contract):
    drops = [{"name": "free", "drop_when": "fare = 0 OR city = 'TEST'", "reason": "Free trips are tests"}]
    findings = explore(contract(filters=drops))
    assert list_lines(findings, "distributions") == []
    (line,) = list_lines(findings, "group_city")
    assert "count(DISTINCT" in line


def test_cities_of_which_new_ones_keep_coming_are_not_limited(contract):
    file = contract()
    assert "maximum: 8," in list_lines(explore(file, once=2), "group_city")[0]
    assert list_lines(explore(file, once=8), "group_city") == []


def test_few_rows_propose_nothing(contract):
    findings = explore(contract(), rows=900)
    assert [one.id for one in findings.findings if one.proposals] == []
