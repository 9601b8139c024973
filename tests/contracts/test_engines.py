"""Both engines give the same rows: DuckDB's, which are tested for themselves, and Spark's from the same statements."""

import re
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from components.base.contract.load import load_problem
from components.base.engine import open_engine
from components.base.errors import ContractError
from components.data.ingest import ingest_sources
from components.data.validate import validate_snapshot
from components.features.build import build_tables
from components.features.feast.asof import AsOfView, join_features
from tests.spark_installation import require_spark
from tests.unit.data.trips import make_problem

# A busy machine takes minutes for what an idle one does in half of one.
pytestmark = pytest.mark.timeout(900)
ENGINES = ("duckdb", "spark")
FLIGHTS = load_problem(Path(__file__).parents[2] / "pipelines/problems/flight-delays.yaml")
START = datetime(2013, 3, 9, 20, tzinfo=UTC)
# A query costs Spark a second whatever its rows: few examples of many rows, with ties and NULLs as the rule. A failing
# one is not made smaller, which would take minutes.
FEW = {"deadline": None, "phases": [Phase.generate], "suppress_health_check": list(HealthCheck)}


@pytest.fixture(scope="module", autouse=True)
def _spark():
    require_spark()


def on(problem, engine):
    return problem.model_copy(update={"data": problem.data.model_copy(update={"engine": engine})})


def read_all(folder):
    return {path.name: pq.read_table(path) for path in sorted(folder.glob("*.parquet"))}


# What the statements of the data steps are made of, and where the two engines differ by nature.
EXPRESSIONS = [
    "number / other",
    "whole / 0",
    "whole / 3",
    "CAST(small AS BIGINT)",
    "CAST(small * 1.5 AS INT)",
    "CAST(flag AS INT)",
    "round(small)",
    "round(small, 2)",
    "sin(radians(small))",
    "coalesce(flag, false)",
    "number IS NOT DISTINCT FROM other",
    "isfinite(number)",
    "number::VARCHAR",
    "whole::VARCHAR",
    "flag::VARCHAR",
    "moment::VARCHAR",
    "TRY_CAST(text AS BIGINT)",
    "TRY_CAST(text AS DOUBLE)",
    "TRY_CAST(text AS BOOLEAN)",
    "isfinite(TRY_CAST(text AS TIMESTAMPTZ))",
    "CASE WHEN isfinite(TRY_CAST(text AS TIMESTAMPTZ)) THEN epoch_us(TRY_CAST(text AS TIMESTAMPTZ)) END",
    "coalesce(greatest(TRY_CAST(text AS TIMESTAMPTZ), moment) <= TIMESTAMPTZ '2013-03-10 00:00:00+00', true)",
    "epoch_us(TRY(CAST(moment + to_minutes(whole) AS TIMESTAMPTZ)))",
    "regexp_matches(text, '^[A-Z0-9]{2}$')",
    "left(text, 2) || '-' || text",
    "hour(timezone('America/New_York', moment)) + minute(timezone('America/New_York', moment)) / 60",
    "strftime(date_trunc('month', moment), '%Y-%m')",
    "moment - INTERVAL 28 DAY",
    "epoch_us(moment)",
    "array_length(list_filter([CASE WHEN flag THEN {'a': 1, 'b': text} END], x -> x IS NOT NULL))",
    "to_json(struct_pack(text := text, flag := flag))",
    "row_number() OVER (ORDER BY text, whole, number, other, small, flag, moment, place)",
    "sum(whole) OVER (PARTITION BY flag ORDER BY moment RANGE BETWEEN INTERVAL 6 HOUR PRECEDING AND CURRENT ROW)",
    "count(*) FILTER (WHERE flag) OVER (PARTITION BY text)",
]
texts = st.one_of(
    st.sampled_from(
        ["5", " 7 ", "5.5", "-0.5", "1e3", "0x10", "1_000", "true", "t", "no", "NaN", "inf", "AA", "é", "Ω9"]
    ),
    st.sampled_from(
        ["2013-01-05", "2013-01-05T10:00:00-05:00", "2013-1-5 9:03", "infinity", "2013-13-01", "'; --", ""]
    ),
    st.text(max_size=4),
    st.none(),
)
numbers = st.one_of(st.none(), st.floats(), st.sampled_from([0.0, 1.0, -2.5, 1e300]))
value_rows = st.fixed_dictionaries(
    {
        "text": texts.filter(lambda text: text is None or "\0" not in text),
        "number": numbers,
        "other": numbers,
        "small": st.one_of(st.none(), st.sampled_from([0.5, 1.5, 2.5, -0.5, 30.0, 210.0, 1.005]), st.floats(-400, 400)),
        "whole": st.one_of(st.none(), st.integers(-(2**40), 2**40)),
        "flag": st.sampled_from([True, False, None]),
        "moment": st.one_of(
            st.none(),
            st.integers(-10, 10).map(lambda hours: START + timedelta(hours=hours, microseconds=hours)),
        ),
    }
)
VALUES = pa.schema(
    {
        "text": pa.string(),
        "number": pa.float64(),
        "other": pa.float64(),
        "small": pa.float64(),
        "whole": pa.int64(),
        "flag": pa.bool_(),
        "moment": pa.timestamp("us", "UTC"),
        "place": pa.int64(),
    }
)


@settings(max_examples=3, **FEW)
@given(st.lists(value_rows, min_size=1, max_size=60))
def test_an_expression_has_one_value_whatever_computes_it(rows):
    table = pa.Table.from_pylist([{**row, "place": place} for place, row in enumerate(rows)], schema=VALUES)
    selected = ", ".join(f"{sql} AS c{place}" for place, sql in enumerate(EXPRESSIONS))
    found = {}
    for name in ENGINES:
        with closing(open_engine(name)) as engine:
            engine.add_table("given", table)
            found[name] = engine.execute(f"SELECT {selected} FROM given ORDER BY place").fetchall()
    for place, sql in enumerate(EXPRESSIONS):
        duckdb, spark = ([row[place] for row in found[name]] for name in ENGINES)
        # As text: NaN is NaN, and a zero has its sign.
        assert list(map(str, spark)) == list(map(str, duckdb)), sql


keys = st.sampled_from(["AA", "AA", "Ωé", None])
moments = st.one_of(st.none(), st.integers(0, 12).map(lambda second: START + timedelta(seconds=second)))
feature_rows = st.lists(st.tuples(keys, moments, moments), max_size=30, unique_by=lambda row: row)


@settings(max_examples=2, **FEW)
@given(st.lists(st.tuples(keys, moments), min_size=1, max_size=40), feature_rows, feature_rows)
def test_the_point_in_time_join_gives_the_same_rows(rows, first, second):
    entities = pa.Table.from_pylist(
        [{"carrier": key, "at": at} for key, at in rows],
        schema=pa.schema({"carrier": pa.string(), "at": pa.timestamp("us", "UTC")}),
    )
    joined = {}
    with TemporaryDirectory() as folder:
        views = []
        options = [{"ttl_us": 3_000_000}, {"known_only": True}]
        for number, features in enumerate([first, [row for row in second if row[1] is not None]]):
            place = Path(folder) / f"{number}.parquet"
            frame = pd.DataFrame(features, columns=["carrier", "time", "created"]).astype({"carrier": object})
            frame = frame.assign(value=np.arange(len(frame), dtype="float64"))
            times = dict.fromkeys(["time", "created"], "datetime64[us, UTC]")
            pq.write_table(pa.Table.from_pandas(frame.astype(times), preserve_index=False), place)
            names = {"keys": {"carrier": "carrier"}, "features": {f"value_{number}": "value"}, "time": "time"}
            views.append(AsOfView(path=str(place), created="created", **names, **options[number]))
        for name in ENGINES:
            with closing(open_engine(name)) as engine:
                joined[name] = join_features(engine, entities, entities["at"].combine_chunks(), views).read_all()
    assert joined["spark"].equals(joined["duckdb"])


delays = st.one_of(st.none(), st.integers(-20, 400).map(float))
flights = st.fixed_dictionaries(
    {
        "carrier": st.sampled_from(["UA", "Ωé"]),
        "flight": st.integers(1, 3),
        "origin": st.sampled_from(["EWR", "JFK"]),
        "dest": st.sampled_from(["IAH", "MIA"]),
        "tailnum": st.sampled_from(["N1", "N2"]),
        # The night in which New York's clocks jump.
        "minute": st.integers(0, 40).map(lambda quarter: quarter * 15),
        "dep_delay": delays,
        "arr_delay": delays,
        "air_time": st.one_of(st.none(), st.sampled_from([30.0, 30.5, 31.5])),
    }
)
readings = st.one_of(st.none(), st.sampled_from([0.0, 0.1, 7.3, 10.0]), st.integers(0, 360).map(float))
MEASURES = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "visib", "precip", "pressure"]
weather = st.dictionaries(
    st.tuples(st.sampled_from(["EWR", "JFK"]), st.integers(0, 12)),
    st.lists(readings, min_size=len(MEASURES), max_size=len(MEASURES)),
    min_size=1,
    max_size=26,
)


def write_accepted(folder, flown, observed):
    rows = pd.DataFrame(flown)
    scheduled_at = pd.Series([START + timedelta(minutes=minute) for minute in rows["minute"]])
    lasted = pd.to_timedelta(rows["dep_delay"].astype("float64").fillna(0) + 90, unit="m")
    rows = rows.assign(scheduled_at=scheduled_at, outcome_at=scheduled_at + lasted, dep_time=rows["dep_delay"])
    rows = rows.assign(late=rows["arr_delay"].isna() | (rows["arr_delay"] >= 15)).drop(columns="minute")
    seen = pd.DataFrame([[*key, *values] for key, values in observed.items()], columns=["origin", "hour", *MEASURES])
    seen = seen.assign(observed_at=[START + timedelta(hours=hour) for hour in seen["hour"]])
    planes = pd.DataFrame(
        {"tailnum": ["N1", "N2"], "year": [2001, None], "seats": [150, 20], "manufacturer": ["É", None]}
    )
    tables = {"flights": rows, "weather": seen, "planes": planes}
    tables |= {"airports": pd.DataFrame({"faa": ["IAH"]}), "airlines": pd.DataFrame({"carrier": ["UA"]})}
    for name, table in tables.items():
        numbers = [
            column
            for column in (*MEASURES, "dep_delay", "arr_delay", "air_time", "dep_time", "year")
            if column in table
        ]
        times = [column for column in table if str(column).endswith("_at")]
        kinds = {**dict.fromkeys(numbers, "float64"), **dict.fromkeys(times, "datetime64[us, UTC]")}
        pq.write_table(pa.Table.from_pandas(table.astype(kinds), preserve_index=False), folder / f"{name}.parquet")


@settings(max_examples=2, **FEW)
@given(st.lists(flights, min_size=1, max_size=60), weather)
def test_build_writes_the_same_feature_tables(flown, observed):
    with TemporaryDirectory() as home:
        folder = Path(home)
        write_accepted(folder, flown, observed)
        for engine in ENGINES:
            build_tables(on(FLIGHTS, engine), folder, folder / engine)
        duckdb, spark = (read_all(folder / engine) for engine in ENGINES)
    assert list(spark) == list(duckdb)
    for name, table in duckdb.items():
        assert spark[name].equals(table), name


cells = st.sampled_from(
    ["PARIS", "ROME", "ATLANTIS", "5", "12", "7.5", "0", "-1", "", "nothing", "1e1", " 9", "2000", "é'"]
)
times = st.sampled_from(
    ["2013-03-01 10:00:00", "2013-03-31T23:59:00Z", "2013-03-02T10:00:00-05:00", "soon", "2013-04-02"]
)
lines = st.lists(
    st.one_of(
        st.tuples(
            st.integers(1, 6).map(str), st.sampled_from(["PARIS", "ROME"]), st.sampled_from(["5", "0", ""]), times
        ),
        st.tuples(cells, cells, cells, times),
        st.tuples(cells, cells),
    ),
    min_size=5,
    max_size=40,
)


@settings(max_examples=2, **FEW)
@given(february=lines, march=lines)
def test_ingest_and_validate_give_each_row_the_same_fate(february, march, store, store_settings):
    land = {"trips/2013-02.csv": february, "trips/2013-03.csv": march, "cities/2013-01-01.csv": [("PARIS",), ("ROME",)]}
    headers = {"trips": "trip,city,fare,started_at", "cities": "city"}
    for name, rows in land.items():
        body = "\n".join([headers[name.split("/")[0]], *[",".join(row) for row in rows], ""])
        store.put_bytes(f"landing/trips/{name}", body.encode())
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as home:
        for name, value in store_settings.child_environment().items():
            patch.setenv(name, value)
        snapshots, qualities = {}, {}
        for engine in ENGINES:
            problem = on(make_problem(), engine)
            snapshots[engine] = ingest_sources(problem, datetime(2013, 4, 1, tzinfo=UTC), store)
            try:
                qualities[engine] = validate_snapshot(problem, snapshots[engine], Path(home) / engine)
            except Exception as error:
                qualities[engine] = str(error)
        duckdb, spark = (read_all(Path(home) / engine) for engine in ENGINES)
        texts = [(Path(home) / engine / "dictionary.json").read_text() for engine in ENGINES]
    assert snapshots["spark"] == snapshots["duckdb"]
    assert qualities["spark"] == qualities["duckdb"]
    assert texts[1] == texts[0]
    for name, table in duckdb.items():
        assert spark[name].equals(table), name


def test_an_asof_join_of_another_form_is_refused_with_the_form_that_is_known():
    with closing(open_engine("spark")) as engine:
        engine.execute("CREATE TEMP TABLE a AS SELECT 1 AS k, 2 AS t")
        with pytest.raises(ContractError, match=re.escape("`ON left.key = b.key AND left.time >= b.time`")):
            engine.execute("SELECT a.k FROM a ASOF JOIN a AS b ON a.k = b.k AND a.t < b.t")


def test_a_fault_in_the_sql_has_duckdbs_words_on_both():
    words = []
    for name in ENGINES:
        with closing(open_engine(name)) as engine:
            engine.execute("CREATE TEMP TABLE trips AS SELECT 1 AS trip")
            with pytest.raises(Exception, match='Referenced column "trep" not found') as caught:
                engine.execute("SELECT trep FROM trips")
            words.append(type(caught.value))
    assert words[0] is words[1]
