"""What was served through the online store against the point-in-time join of the same feature tables."""

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from components.base.contract.load import load_problem
from components.base.settings import load_settings
from components.base.tables import write_table
from components.features.feast.feature_store import declared_views
from components.features.online.materialize import fill_online_store
from components.features.online.store import open_online_features
from components.features.prepare import model_features
from components.features.request import request_row
from components.monitoring.skew import list_sampled_columns, measure_skew, sample_rows
from components.serving.prediction_log.schema import SegmentHeader
from components.tasks import open_task

PROBLEM = load_problem(Path(__file__).parents[3] / "pipelines" / "problems" / "flight-delays.yaml")
TASK = open_task(PROBLEM)
AS_OF = datetime(2013, 7, 1, tzinfo=UTC)
KEYS = {"origin": ["EWR", "JFK"], "carrier": ["UA", "B6"], "tailnum": ["N1", "N2"], "route": ["EWR-IAH", "JFK-IAH"]}
SECOND = timedelta(seconds=1)


def write_features(folder, newest=None):
    """Write tables of two entities a view: of the first a value just within its time to live, of the second one just
    beyond it; of both an older one, and one that is not yet known. `newest` adds values of one view."""
    for view in declared_views(PROBLEM):
        (key,) = view.keys
        ttl = timedelta(seconds=view.ttl_seconds or 86_400)
        rows = []
        for number, entity in enumerate(KEYS[key]):
            times = [AS_OF - ttl - number * SECOND, AS_OF - 2 * ttl, AS_OF + SECOND]
            times += [AS_OF - SECOND] if view.name == newest else []
            rows += [{key: entity, **values_at(view, place), **stamps(at)} for place, at in enumerate(times)]
        write_table(pd.DataFrame(rows), folder / f"{view.name}.parquet")
    return str(folder)


def values_at(view, place):
    """Return values that tell their place; the first number of each view is always null."""
    values = {f.name: 10.0 * place + n if f.kind == "numeric" else f"M{place}" for n, f in enumerate(view.features)}
    first = next(feature.name for feature in view.features if feature.kind == "numeric")
    return {**values, first: math.nan}


def stamps(at):
    return {"event_timestamp": at, "created_timestamp": at}


def serve_requests(settings, rows):
    """Look the requests up as the predictor does, and log them."""
    online = open_online_features(PROBLEM, settings)
    logged = []
    for number, row in enumerate(rows):
        requested = request_row(PROBLEM, row)
        (looked_up,) = online.read([{**row, **requested}])
        features = {f"feature__{name}": value for name, value in {**requested, **looked_up.values}.items()}
        logged.append({"request_id": f"r{number}", "row": 0, "event_time": AS_OF, **row, **features})
    table = pa.Table.from_pandas(pd.DataFrame(logged), preserve_index=False)
    return table.select(list_sampled_columns(PROBLEM, model_features(PROBLEM)))


def draw_requests(count):
    random = np.random.default_rng(4)
    return [
        {
            "carrier": str(random.choice(["UA", "B6", "ZZ"])),
            "flight": number,
            "origin": str(random.choice(["EWR", "JFK"])),
            "dest": "IAH",
            "tailnum": [None, "N1", "N2", "N999"][number % 4],
            "scheduled_at": AS_OF + timedelta(minutes=97 * number),
            "distance": 1400.0,
        }
        for number in range(count)
    ]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Feature tables, and a log of 40 requests that were served from a store filled from them."""
    home = tmp_path_factory.mktemp("skew")
    settings = load_settings({"TIDEMILL_HOME": str(home)})
    uri = write_features(home / "features")
    fill_online_store(settings, PROBLEM, uri, AS_OF)
    return home, uri, serve_requests(settings, draw_requests(40))


def test_what_the_store_served_is_what_the_join_gives(world):
    """Also for unknown entities, nulls, and ages of exactly the time to live and one second more."""
    _, uri, log = world
    skew = measure_skew(PROBLEM, model_features(PROBLEM), uri, log)
    assert (skew.rows, skew.different_ratio) == (40, 0)
    assert {feature.name for feature in skew.features} == {feature.name for feature in model_features(PROBLEM)}
    served = log.to_pandas()
    known = served["feature__weather_temperature"].notna()
    assert known.tolist() == (served["origin"] == "EWR").tolist()
    assert known.any()
    assert not known.all()


def test_a_store_that_was_filled_too_early_shows_in_its_view_alone(world, tmp_path):
    _, _, log = world
    later = write_features(tmp_path, newest="carrier_delays")
    skew = measure_skew(PROBLEM, model_features(PROBLEM), later, log)
    changed = [feature for feature in skew.features if feature.different_ratio > 0]
    (view,) = [view for view in declared_views(PROBLEM) if view.name == "carrier_delays"]
    assert {feature.name for feature in changed} == {feature.name for feature in view.features[1:]}
    share = np.mean([carrier in KEYS["carrier"] for carrier in log["carrier"].to_pylist()])
    assert [feature.different_ratio for feature in changed] == pytest.approx([share] * len(changed))
    # Of UA the place of the newest value is 3 and that of the served one 0; B6 was served nothing.
    assert {feature.mean_absolute_difference for feature in changed} == {30.0}
    assert skew.different_ratio == pytest.approx(share * len(changed) / len(skew.features))
    assert skew.features[: len(changed)] == tuple(changed)


def test_a_wrong_request_feature_is_found(world):
    _, uri, log = world
    place = log.schema.get_field_index("feature__scheduled_hour")
    wrong = log.set_column(place, "feature__scheduled_hour", pa.array([None, 99.0] * 20, pa.float64()))
    skew = measure_skew(PROBLEM, model_features(PROBLEM), uri, wrong)
    assert (skew.features[0].name, skew.features[0].different_ratio) == ("scheduled_hour", 1.0)
    assert skew.features[1].different_ratio == 0


def test_the_log_holds_every_column_that_is_compared():
    features = model_features(PROBLEM)
    schema = SegmentHeader.of(TASK, features, [], "1", {}).schema()
    assert set(list_sampled_columns(PROBLEM, features)) <= set(schema.names)


def batches(count, size):
    rows = [{"request_id": f"r{n // 3}", "row": n % 3, "value": n} for n in range(count)]
    return [pa.RecordBatch.from_pylist(rows[start : start + size]) for start in range(0, count, size)]


def test_the_sample_depends_neither_on_order_nor_on_batches():
    wanted = sample_rows(batches(3000, 1000), 200)["value"].to_pylist()
    assert len(wanted) == 200
    assert sample_rows(batches(3000, 7), 200)["value"].to_pylist() == wanted
    assert sample_rows(reversed(batches(3000, 1000)), 200)["value"].to_pylist() == wanted


def test_the_sample_is_spread_over_the_window():
    """The mean of 500 values of 0 to 5,999 has a standard error of 77."""
    values = sample_rows(batches(6000, 500), 500)["value"].to_numpy()
    assert values.mean() == pytest.approx(3000, abs=4 * 77)


def test_a_small_window_is_sampled_whole_and_an_empty_one_not_at_all():
    assert sorted(sample_rows(batches(30, 7), 2000)["value"].to_pylist()) == list(range(30))
    assert sample_rows([]) is None
