"""One value is the same on its whole way: file, snapshot, training, both online stores, request and log."""

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import Entity, FeatureView, Field, FileSource, ValueType
from feast.types import Float64, Int64
from hypothesis import given, settings
from hypothesis import strategies as st

from components.base.adapters.duckdb import connect_duckdb
from components.base.contract.load import load_problem
from components.base.contract.problem import RequestFeature, Source
from components.base.dataset import Feature
from components.base.engine import open_engine
from components.base.settings import load_settings
from components.base.tables import make_frame, read_table, write_table
from components.base.values import KEY_TYPES, LARGEST_INT, SMALLEST_INT, write_text
from components.data.row_checks import row_checks
from components.data.row_sql import typed_sql
from components.features.feast.asof import AsOfView, join_features
from components.features.feast.feature_store import describe_view, open_feature_store
from components.features.online.reader import OnlineFeatures, OnlineView
from components.features.online.store import open_online_store
from components.features.request import request_row, request_table
from components.serving.prediction_log.schema import SegmentHeader
from components.serving.prediction_log.segment import LineWriter, read_segment
from components.serving.predictor.requests import RequestSchema, write_v1
from components.tasks import open_task
from tests.contracts.running_redis import running_redis
from tests.unit.serving.prediction_rows import make_prediction

ROOT = Path(__file__).parents[2]
PROBLEM = load_problem(ROOT / "pipelines/problems/flight-delays.yaml")
KNOWN_AT = datetime(2013, 7, 1, tzinfo=UTC)
# A caller sends at most 200 characters, and what is empty in a file is missing.
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
VALUES = {
    "string": TEXTS | st.sampled_from(["1", "01", "1.0", "true", "1e0", " 1", "null", "NaN", "<NA>"]),
    "int": st.integers(SMALLEST_INT, LARGEST_INT) | st.integers(-2, 2) | st.integers(2**53 - 1, 2**53 + 2),
    "bool": st.booleans(),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "timestamp": st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),
}


def _problem(kind):
    """Return a contract whose example has one column of a type, which names an entity and is joined to a text."""
    column = {"type": kind, "description": "Thing", "nullable": True}
    source = Source.model_validate(
        {
            **{"description": "Things", "kind": "snapshot", "path": "things/*.csv", "format": "csv", "key": ["number"]},
            "columns": {"number": {"type": "int", "description": "Number"}, "thing": column},
        }
    )
    joined = RequestFeature(transform="join", columns=["thing"], description="Text of the thing")
    return PROBLEM.model_copy(
        update={
            "name": "things",
            "sources": {"things": source},
            "examples": PROBLEM.examples.model_copy(update={"source": "things", "request": ["thing"]}),
            "features": PROBLEM.features.model_copy(update={"request": {"text": joined}}),
        }
    )


def _validate(problem, values, folder):
    """Write the values as delivered text, and what validation accepts of it; the last row has no value."""
    source, path = problem.sources["things"], folder / "accepted.parquet"
    texts = pa.array([*map(write_text, values), None], pa.string())
    delivered = pa.table({"number": [str(n) for n in range(len(texts))], "thing": texts})
    pq.write_table(delivered, folder / "delivered.parquet")
    rows = typed_sql(source, f"read_parquet('{folder / 'delivered.parquet'}')")
    failed = " OR ".join(f"coalesce({check.fails}, false)" for check in row_checks(source))
    with connect_duckdb() as connection:
        (faults,) = connection.execute(f"SELECT count(*) FROM ({rows}) WHERE {failed}").fetchall()[0]
        assert faults == 0
        connection.execute(f"COPY (SELECT number, thing FROM ({rows}) ORDER BY number) TO '{path}' (FORMAT parquet)")
    return path


def _join(frame, accepted):
    """Join to each row of a frame the number of the accepted row with its thing."""
    view = AsOfView(str(accepted), {"thing": "thing"}, {"found": "number"}, "known_at")
    times = pa.array([KNOWN_AT] * len(frame), pa.timestamp("us", "UTC"))
    entities = pa.Table.from_pandas(frame, preserve_index=False)
    return join_features(open_engine("duckdb"), entities, times, [view]).read_all()["found"].to_pylist()


def _serve(place, kind, accepted, rows):
    """Fill an online store with the accepted rows, and return what is found for the rows of requests."""
    view = OnlineView("things", ("thing",), (Feature("number", "numeric", "things", "Number"),), None, None, (kind,))
    known = accepted.filter(accepted["thing"].is_valid())
    times = pa.array([KNOWN_AT] * len(known), pa.timestamp("us", "UTC"))
    known = known.set_column(0, "number", known["number"].cast(pa.float64()))
    table = known.append_column("event_timestamp", times).append_column("created_timestamp", times)
    store = open_online_store(load_settings({"TIDEMILL_HOME": str(place[1])}).model_copy(update=place[0]))
    with store.draft("things", KNOWN_AT) as draft:
        assert draft.fill(view, table) == len(known)
        draft.swap()
    served = OnlineFeatures([view], store.open_reader("things", [view])).read(rows)
    return [None if one.missing else one.values["number"] for one in served]


def _log(problem, rows, folder):
    header = SegmentHeader.of(open_task(problem), [], (), "1", {})
    lines = LineWriter(header).write("r", rows, [make_prediction()] * len(rows), KNOWN_AT.timestamp())
    (folder / "segment").write_bytes(header.write() + b"".join(lines))
    # Lines with an escape are read after the others.
    return make_frame(read_segment(folder / "segment").rows).sort_values("row", ignore_index=True)


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory):
    with running_redis(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.mark.parametrize("kind", VALUES)
def test_a_value_is_the_same_on_its_whole_way_and_meets_no_other(kind, redis_url):
    problem = _problem(kind)

    @settings(max_examples=12, deadline=None)
    @given(values=st.lists(VALUES[kind], min_size=1, max_size=6, unique=True))
    def goes_its_way(values):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            path = _validate(problem, values, folder)
            trained = read_table(path)
            write_table(trained.assign(known_at=KNOWN_AT - timedelta(days=1)), folder / "view.parquet")
            numbers = [*range(len(values)), None]
            if kind in KEY_TYPES:
                assert _join(trained[["thing"]], folder / "view.parquet") == numbers

            body = orjson.dumps(write_v1(trained[["thing"]].to_dict("records")))
            rows = RequestSchema.of(problem).parse_v1(body)
            assert [row["thing"] for row in rows] == [*values, None]
            for place in ({}, {"online_store": redis_url}) if kind in KEY_TYPES else ():
                assert _serve((place, folder), kind, pq.read_table(path), rows) == numbers

            texts = request_table(problem, trained)["text"].tolist()
            assert texts == [*map(write_text, values), None]
            assert [request_row(problem, row)["text"] for row in rows] == texts
            logged = _log(problem, rows, folder)
            assert request_table(problem, logged)["text"].tolist() == texts
            assert len(set(texts)) == len(texts)

    goes_its_way()


def test_feasts_own_interface_finds_whole_numbers_that_name_entities(tmp_path):
    thing = Entity(name="thing", join_keys=["thing"], value_type=ValueType.INT64)
    declared = FeatureView(
        name="things",
        entities=[thing],
        schema=[Field(name="thing", dtype=Int64), Field(name="number", dtype=Float64)],
        source=FileSource(path="things.parquet", timestamp_field="event_timestamp"),
    )
    settings_of_home = load_settings({"TIDEMILL_HOME": str(tmp_path)})
    open_feature_store(settings_of_home).apply([thing, declared])
    view = describe_view(declared)
    assert view.key_types == ("int",)
    things = {"thing": [189, -(2**62) - 1], "number": [1.0, 2.0]}
    times = dict.fromkeys(["event_timestamp", "created_timestamp"], [KNOWN_AT] * 2)
    with open_online_store(settings_of_home).draft("things", KNOWN_AT) as draft:
        draft.fill(view, pa.table({**things, **times}))
        draft.swap()
    rows = [{"thing": key} for key in (*things["thing"], 7)]
    found = open_feature_store(settings_of_home).get_online_features(["things:number"], rows).to_dict()
    assert found["number"] == [1.0, 2.0, None]
