"""Training rows from the offline store, through Feast's own FeatureStore."""

import re
from datetime import timedelta
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest
from feast import (
    Entity,
    FeatureService,
    FeatureStore,
    FeatureView,
    Field,
    FileSource,
    RepoConfig,
    RequestSource,
    ValueType,
)
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, String

from components.base.errors import DataError
from components.features.feast.offline_store import AsOfOfflineStore
from tests.unit.features.carrier_delays import AIRPORT, CARRIER, FEATURES, at, carrier_rows, carrier_view, open_store


@pytest.fixture
def store(tmp_path):
    carrier_rows().to_parquet(tmp_path / "carrier.parquet", index=False)
    feature_store = open_store(tmp_path, str(tmp_path))
    feature_store.apply([CARRIER, AIRPORT, carrier_view()])
    return feature_store


def test_store_returns_every_row_once_in_order_with_its_own_columns(store):
    flights = pd.DataFrame(
        {
            "carrier": ["UA", "AA", None, "ZZ", "AA", "AA"],
            "event_timestamp": [at(3), at(7), at(7), at(7), at(7), at(0)],
            "late": [1, 0, 1, 0, 0, 1],
            "note": pd.Categorical(["x", "y", "x", None, "y", "x"]),
        }
    )

    joined = store.get_historical_features(entity_df=flights, features=FEATURES).to_df()

    pd.testing.assert_frame_equal(joined[flights.columns], flights)
    assert joined["late_ratio"].fillna(-1).tolist() == [0.2, 0.6, -1, -1, 0.6, -1]
    assert joined["flights"].fillna(-1).tolist() == [20, 60, -1, -1, 60, -1]
    assert list(joined.columns) == [*flights.columns, "late_ratio", "flights"]


def test_ttl_and_event_time_are_inclusive_at_both_ends(store):
    times = [at(2) - pd.Timedelta("1us"), at(2), at(32), at(32) + pd.Timedelta("1us")]
    flights = pd.DataFrame({"carrier": "UA", "event_timestamp": times})

    joined = store.get_historical_features(entity_df=flights, features=FEATURES[:1]).to_df()

    assert joined["late_ratio"].fillna(-1).tolist() == [-1, 0.2, 0.2, -1]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_store_and_feasts_own_duckdb_store_agree(store, tmp_path):
    flights = pd.DataFrame(
        {
            "carrier": ["UA", "AA", "AA", "ZZ", "UA", "AA"],
            "event_timestamp": [at(32), at(5), at(4.5), at(5), at(40), at(36)],
        }
    )
    config = store.config.model_dump(by_alias=True)
    config["offline_store"] = {"type": "duckdb"}
    theirs = FeatureStore(config=RepoConfig(**config))
    source = {"path": str(tmp_path / "carrier.parquet")}
    theirs.apply([CARRIER, carrier_view(source=source)])

    expected = theirs.get_historical_features(entity_df=flights.copy(), features=FEATURES).to_df()
    joined = store.get_historical_features(entity_df=flights, features=FEATURES).to_df()

    order = ["carrier", "event_timestamp"]
    pd.testing.assert_frame_equal(
        joined.sort_values(order, ignore_index=True), expected.sort_values(order, ignore_index=True), check_dtype=False
    )


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_entity_times_of_any_unit_and_zone_mean_the_same_time(store, unit, zone):
    times = pd.Series([at(2), at(6)]).dt.as_unit(unit)
    times = times.dt.tz_localize(None) if zone is None else times.dt.tz_convert(zone)
    flights = pd.DataFrame({"carrier": ["UA", "AA"], "departure": times})

    joined = store.get_historical_features(entity_df=flights, features=FEATURES[:1]).to_arrow()

    assert joined["late_ratio"].to_pylist() == [0.2, 0.6]


def test_entity_times_as_text_and_missing_times_are_understood(store):
    flights = pd.DataFrame({"carrier": ["UA", "UA"], "event_timestamp": ["2013-01-03T00:00:00Z", None]})

    joined = store.get_historical_features(entity_df=flights, features=FEATURES[:1]).to_df()

    assert joined["late_ratio"].fillna(-1).tolist() == [0.2, -1]
    assert joined["event_timestamp"].tolist() == ["2013-01-03T00:00:00Z", None]


def test_full_feature_names_carry_the_view(store):
    flights = pd.DataFrame({"carrier": ["UA"], "event_timestamp": [at(3)]})

    joined = store.get_historical_features(entity_df=flights, features=FEATURES, full_feature_names=True).to_df()

    assert list(joined.columns)[2:] == ["carrier_delays__late_ratio", "carrier_delays__flights"]


def test_one_view_joins_two_roles_of_an_entity(tmp_path):
    rows = pd.DataFrame({"airport": ["JFK", "LAX"], "event_timestamp": [at(1)] * 2, "wind": [10.0, 20.0]})
    rows.to_parquet(tmp_path / "weather.parquet", index=False)
    weather = FeatureView(
        name="weather",
        entities=[AIRPORT],
        schema=[Field(name="airport", dtype=String), Field(name="wind", dtype=Float64)],
        source=FileSource(path="weather.parquet", timestamp_field="event_timestamp"),
    )
    store = open_store(tmp_path, str(tmp_path))
    store.apply([AIRPORT, weather])
    service = FeatureService(
        name="both",
        features=[
            weather.with_name("origin_weather").with_join_key_map({"airport": "origin"}),
            weather.with_name("dest_weather").with_join_key_map({"airport": "dest"}),
        ],
    )
    store.apply([service])
    flights = pd.DataFrame({"origin": ["JFK", "LAX"], "dest": ["LAX", "SFO"], "event_timestamp": [at(2)] * 2})

    joined = store.get_historical_features(entity_df=flights, features=service, full_feature_names=True).to_df()

    assert joined["origin_weather__wind"].tolist() == [10.0, 20.0]
    assert joined["dest_weather__wind"].fillna(-1).tolist() == [20.0, -1]


@pytest.mark.filterwarnings("ignore:On demand feature view is an experimental feature:RuntimeWarning")
def test_on_demand_features_are_added_to_the_result(store):
    request = RequestSource(name="request", schema=[Field(name="distance", dtype=Float64)])

    @on_demand_feature_view(
        sources=[carrier_view(), request], schema=[Field(name="risk", dtype=Float64)], mode="pandas"
    )
    def risk(inputs: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"risk": inputs["late_ratio"] * inputs["distance"]})

    store.apply([risk])
    flights = pd.DataFrame({"carrier": ["UA"], "event_timestamp": [at(3)], "distance": [100.0]})

    job = store.get_historical_features(entity_df=flights, features=["risk:risk"])

    assert job.to_df()["risk"].tolist() == pytest.approx([20.0])
    assert job.to_arrow_reader().read_all()["risk"].to_pylist() == pytest.approx([20.0])


def test_a_backfill_counts_only_once_it_was_written_when_that_is_required(tmp_path):
    rows = pd.DataFrame(
        {
            "carrier": ["AA", "AA", "AA"],
            "event_timestamp": [at(1), at(2), at(3)],
            "created": [at(1), at(9), at(4)],
            "late_ratio": [0.1, 0.2, 0.3],
            "flights": [1, 2, 3],
        }
    )
    rows.to_parquet(tmp_path / "carrier.parquet", index=False)
    store = open_store(tmp_path, str(tmp_path))
    store.apply([CARRIER, carrier_view()])
    flights = pd.DataFrame({"carrier": "AA", "event_timestamp": [at(2.5), at(3.5), at(4), at(20)]})

    plain = store.get_historical_features(entity_df=flights, features=FEATURES[:1])
    known = store.get_historical_features(entity_df=flights, features=FEATURES[:1], filter_by_created_timestamp=True)

    assert plain.to_df()["late_ratio"].tolist() == [0.2, 0.3, 0.3, 0.3]
    assert known.to_df()["late_ratio"].tolist() == [0.1, 0.1, 0.3, 0.3]


def test_reader_streams_in_batches_what_to_arrow_returns(store):
    flights = pd.DataFrame({"carrier": ["AA", "UA"] * 125_000, "event_timestamp": at(3), "row": range(250_000)})
    job = store.get_historical_features(entity_df=flights, features=FEATURES)

    batches = list(job.to_arrow_reader())

    assert [batch.num_rows for batch in batches] == [100_000, 100_000, 50_000]
    assert pa.Table.from_batches(batches).equals(job.to_arrow())


def test_an_empty_entity_frame_gives_an_empty_result_with_all_columns(store):
    flights = pd.DataFrame(
        {"carrier": pd.Series([], dtype=str), "event_timestamp": pd.Series([], dtype="datetime64[ns]")}
    )

    joined = store.get_historical_features(entity_df=flights, features=FEATURES).to_arrow()

    assert joined.num_rows == 0
    assert joined.column_names == ["carrier", "event_timestamp", "late_ratio", "flights"]


def test_every_missing_key_and_taken_name_of_the_entity_frame_is_named(store):
    flights = pd.DataFrame({"event_timestamp": [at(3)], "late_ratio": [1.0]})

    with pytest.raises(DataError, match=re.escape("entity frame: 2 faults.")) as caught:
        store.get_historical_features(entity_df=flights, features=FEATURES)

    assert "column `carrier` must exist" in str(caught.value)
    assert "must not be named like a column, but got `late_ratio`" in str(caught.value)


def test_an_entity_frame_that_is_no_pandas_frame_is_refused(store):
    with pytest.raises(DataError, match=re.escape("`entity_df` must be a pandas frame, but got str")):
        store.get_historical_features(entity_df="SELECT 1", features=FEATURES)


def _store_of(folder, rows, key="carrier", features=("late_ratio",), **source):
    rows.to_parquet(folder / "carrier.parquet", index=False)
    store = open_store(folder, str(folder))
    entity = Entity(name=key, join_keys=[key], value_type=ValueType.STRING)
    schema = [Field(name=key, dtype=String), *(Field(name=name, dtype=Float64) for name in features)]
    options = {"created_timestamp_column": "", **source}
    store.apply([entity, carrier_view(entities=[entity], schema=schema, ttl=timedelta(days=30), source=options)])
    return store


def _join(store, entities, *features, **options):
    names = [f"carrier_delays:{name}" for name in features or ("late_ratio",)]
    joined = store.get_historical_features(entity_df=pd.DataFrame(entities), features=names, **options).to_df()
    return joined[[name.split(":")[1] for name in names]].to_numpy().tolist()


ASKED = {"carrier": ["AA"], "event_timestamp": [at(9)]}
REVISED = pd.DataFrame({"carrier": ["AA"] * 2, "event_timestamp": [at(1)] * 2, "late_ratio": [0.2, 0.5]})


@pytest.mark.parametrize("name", ["asof_time", "asof_known", "asof_created", "asof_order", "key0", "value0"])
@pytest.mark.parametrize("known_only", [False, True])
def test_columns_that_no_view_declares_change_nothing(tmp_path, name, known_only):
    rows = REVISED.assign(created=[at(1), at(2)], **{name: [at(30), at(0)]})
    store = _store_of(tmp_path, rows, created_timestamp_column="created")
    assert _join(store, ASKED, filter_by_created_timestamp=known_only) == [[0.5]]


@pytest.mark.parametrize(
    ("created", "right"),
    [(["2013-1-2", "2013-1-10"], 0.5), (["2013-01-02T20:00:00-09:00", "2013-01-03T01:00:00+05:00"], 0.2)],
)
def test_times_of_writing_in_text_are_compared_as_times(tmp_path, created, right):
    store = _store_of(tmp_path, REVISED.assign(created=created), created_timestamp_column="created")
    assert _join(store, ASKED) == [[right]]
    latest = AsOfOfflineStore.pull_latest_from_table_or_query(
        store.config,
        store.get_feature_view("carrier_delays").batch_source,
        *(["carrier"], ["late_ratio"], "event_timestamp", "created", at(0), at(9)),
    )
    assert latest.to_arrow()["late_ratio"].to_pylist() == [right]


def test_names_of_zones_in_times_of_text_are_refused(tmp_path):
    """DuckDB keeps the zone of one text for the texts that follow it."""
    created = ["2013-01-02 03:04:05 EST", "2013-01-02 00:00:00"]
    store = _store_of(tmp_path, REVISED.assign(created=created), created_timestamp_column="created")
    told = "column `created` must hold times of ISO 8601, their zone as an offset, but in 1 rows it does not"
    with pytest.raises(DataError, match=re.escape(told)):
        _join(store, ASKED)


def test_a_column_that_differs_by_case_only_is_never_taken_for_another(tmp_path):
    rows = REVISED[:1].rename(columns={"late_ratio": "Late_Ratio"}).assign(late_ratio=[0.7])
    store = _store_of(tmp_path, rows)
    with pytest.raises(DataError, match=re.escape("column `late_ratio` must exist, but does not.")) as refused:
        _join(store, ASKED)
    assert "must differ by more than case; got carrier, event_timestamp, Late_Ratio, late_ratio_1." in str(
        refused.value
    )


@pytest.mark.parametrize(
    ("held", "asked"),
    [
        (["1.4"], [1]),
        (["01"], [1]),
        (["t"], [True]),
        ([1], [True]),
        ([1.0], ["1"]),
        ([1], ["1"]),
        ([1], [1.4]),
        ([2**53], [float(2**53 + 2)]),
        (["Orléans".encode()], ["Orléans"]),
        ([pd.Timestamp("2013-01-01")], ["2013-01-01"]),
        ([Decimal("1.0")], [1]),
    ],
)
def test_keys_of_two_types_are_refused_with_both(tmp_path, held, asked):
    rows = pd.DataFrame({"carrier": held, "event_timestamp": [at(1)], "late_ratio": [0.2]})
    store = _store_of(tmp_path, rows)
    with pytest.raises(DataError, match=re.escape("key `carrier` must have the type of `carrier` in ")):
        _join(store, {"carrier": asked, "event_timestamp": [at(2)]})


@pytest.mark.parametrize(
    ("held", "asked"),
    [
        (["é", "e"], ["é", None]),
        ([1, 2], [1, None]),
        ([1, 2], pd.array([1, None], dtype="Int64")),
        (pd.array([2**53 + 1, 2**53], dtype="int64"), pd.array([2**53 + 1, None], dtype="Int64")),
        ([True, False], [True, None]),
        (["AA", "UA"], pd.Categorical(["AA", None])),
        (pd.to_datetime(["2013-01-01", "2013-01-02"]), pd.to_datetime(["2013-01-01", None], utc=True)),
    ],
)
def test_a_key_meets_its_equal_whatever_pandas_made_of_the_column(tmp_path, held, asked):
    rows = pd.DataFrame({"carrier": held, "event_timestamp": [at(1)] * 2, "late_ratio": [0.2, 0.5]})
    found = _join(_store_of(tmp_path, rows), {"carrier": asked, "event_timestamp": [at(2)] * 2})
    assert [value[0] if value[0] == value[0] else None for value in found] == [0.2, None]


@pytest.mark.parametrize("times", [[1_356_998_400 + 999], [1.36e9], [Decimal(1_356_998_400)]])
def test_numbers_in_the_place_of_times_are_refused(store, times):
    flights = pd.DataFrame({"carrier": ["UA"], "event_timestamp": times})
    with pytest.raises(DataError, match=re.escape("`event_timestamp` must hold times, but got")):
        store.get_historical_features(entity_df=flights, features=FEATURES)
