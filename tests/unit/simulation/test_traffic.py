"""Each flight of a month is asked about once, at the full hour two hours before the hour of its departure."""

import io
from datetime import UTC, datetime, timedelta

import orjson
import pandas as pd
import pytest

from components.base.contract.load import load_problem
from components.base.errors import DataError
from components.base.settings import load_settings
from components.serving.predictor.requests import RequestSchema
from pipelines.simulation.demo_data import list_deliveries
from pipelines.simulation.traffic import read_requests

START, END = datetime(2013, 2, 1, tzinfo=UTC), datetime(2013, 3, 1, tzinfo=UTC)


@pytest.fixture
def landed(store):
    tables = {}
    for name, content in list_deliveries("2013-03-01", 1):
        if name.startswith("flights/"):
            store.put_bytes(f"landing/flight-delays/{name}", content)
            tables[name] = pd.read_csv(io.BytesIO(content))
    return pd.concat(tables.values())


def test_every_flight_with_an_aircraft_is_asked_about_once(store, landed):
    requests = read_requests(store, START, END)
    rows = [row for request in requests for row in orjson.loads(request.body)["instances"]]
    hour = pd.to_datetime(landed["time_hour"], utc=True) - timedelta(hours=2)
    expected = landed[(hour >= START) & (hour < END) & landed["tailnum"].notna()]
    assert len(rows) == sum(request.rows for request in requests) == len(expected)
    keys = {(row["carrier"], row["flight"], row["origin"], row["dest"], row["scheduled_at"]) for row in rows}
    assert len(keys) == len(rows)


def test_moments_rise_and_every_request_is_one_that_the_endpoint_takes(store, landed):
    problem = load_problem(load_settings({}).problems / "flight-delays.yaml")
    schema = RequestSchema.of(problem)
    requests = read_requests(store, START, END)
    moments = [request.time for request in requests]
    assert moments == sorted(set(moments))
    assert moments[0] >= START
    assert moments[-1] < END
    for request in requests[:50]:
        rows = schema.parse_v1(request.body)
        assert {row["scheduled_at"] - timedelta(hours=2, minutes=row["scheduled_at"].minute) for row in rows} == {
            request.time
        }


def test_request_ids_name_their_hour(store, landed):
    requests = read_requests(store, START, END)
    assert len({request.request_id for request in requests}) == len(requests)
    assert requests[0].request_id == f"flight-delays-{requests[0].time:%Y%m%dT%H}"


def test_month_that_has_not_landed_is_told(store):
    with pytest.raises(DataError, match="flights of February 2013 must have landed"):
        read_requests(store, START, END)
