"""What the offline store reads, through Feast's own FeatureStore: sources, materialisation, and their faults."""

import re

import pandas as pd
import pytest
from feast import FeatureView, Field, FileSource, RequestSource
from feast.types import Float64

from components.base.errors import DataError, ObjectMissingError
from components.features.feast.offline_store import AsOfOfflineStore
from tests.unit.features.carrier_delays import AIRPORT, CARRIER, FEATURES, at, carrier_rows, carrier_view, open_store


@pytest.fixture
def store(tmp_path):
    carrier_rows().to_parquet(tmp_path / "carrier.parquet", index=False)
    feature_store = open_store(tmp_path, str(tmp_path))
    feature_store.apply([CARRIER, AIRPORT, carrier_view()])
    return feature_store


def test_field_mapping_renames_features_keys_and_times(tmp_path):
    renamed = {"late_ratio": "lr", "carrier": "cc", "event_timestamp": "ts", "created": "made"}
    carrier_rows().rename(columns=renamed).to_parquet(tmp_path / "carrier.parquet", index=False)
    mapping = {new: old for old, new in renamed.items()}
    store = open_store(tmp_path, str(tmp_path))
    store.apply([CARRIER, carrier_view(source={"field_mapping": mapping})])
    flights = pd.DataFrame({"carrier": ["AA"], "event_timestamp": [at(7)]})

    joined = store.get_historical_features(entity_df=flights, features=FEATURES).to_df()
    store.materialize(at(0), at(10))
    online = store.get_online_features(features=FEATURES, entity_rows=[{"carrier": "AA"}]).to_dict()

    assert joined[["late_ratio", "flights"]].to_numpy().tolist() == [[0.6, 60]]
    assert online == {"carrier": ["AA"], "late_ratio": [0.6], "flights": [60]}


def test_a_view_without_entity_joins_by_time_alone_and_is_served_online(store, tmp_path):
    rows = pd.DataFrame({"event_timestamp": [at(5), at(1)], "fuel_price": [5.0, 1.0]})
    rows.to_parquet(tmp_path / "fuel.parquet", index=False)
    fuel = FeatureView(
        name="fuel",
        schema=[Field(name="fuel_price", dtype=Float64)],
        source=FileSource(path="fuel.parquet", timestamp_field="event_timestamp"),
    )
    store.apply([fuel])
    flights = pd.DataFrame({"event_timestamp": [at(6), at(4), at(0)]})

    joined = store.get_historical_features(entity_df=flights, features=["fuel:fuel_price"]).to_df()
    store.materialize(at(0), at(10))
    # Feast needs some entity in the request, though not of this view.
    features = ["fuel:fuel_price", "carrier_delays:flights"]
    online = store.get_online_features(features=features, entity_rows=[{"carrier": "UA"}]).to_dict()

    assert joined["fuel_price"].fillna(-1).tolist() == [5.0, 1.0, -1]
    assert (online["fuel_price"], online["flights"]) == ([5.0], [20])


@pytest.mark.parametrize("pull_latest", [False, True])
def test_materialised_values_are_the_newest_of_the_span(tmp_path, pull_latest):
    carrier_rows().to_parquet(tmp_path / "carrier.parquet", index=False)
    store = open_store(tmp_path, str(tmp_path))
    store.config.materialization_config.pull_latest_features = pull_latest
    store.apply([CARRIER, carrier_view()])

    store.materialize(at(0), at(10))
    entities = [{"carrier": "AA"}, {"carrier": "UA"}, {"carrier": "ZZ"}]
    online = store.get_online_features(features=FEATURES, entity_rows=entities).to_dict()

    assert online["late_ratio"] == [0.6, 0.2, None]
    assert online["flights"] == [60, 20, None]


def test_a_folder_of_parquet_files_is_one_source(tmp_path):
    folder = tmp_path / "carrier"
    folder.mkdir()
    carrier_rows().head(2).to_parquet(folder / "a.parquet", index=False)
    carrier_rows().tail(3).to_parquet(folder / "b.parquet", index=False)
    store = open_store(tmp_path, str(tmp_path))
    store.apply([CARRIER, carrier_view(source={"path": "carrier"})])
    flights = pd.DataFrame({"carrier": ["AA", "UA"], "event_timestamp": at(7)})

    joined = store.get_historical_features(entity_df=flights, features=FEATURES[:1]).to_df()

    assert joined["late_ratio"].tolist() == [0.6, 0.2]


def test_another_root_is_another_snapshot_of_the_same_registry(store, tmp_path):
    newer = tmp_path / "newer"
    newer.mkdir()
    carrier_rows().assign(late_ratio=0.9).to_parquet(newer / "carrier.parquet", index=False)
    flights = pd.DataFrame({"carrier": ["UA"], "event_timestamp": [at(3)]})

    other = open_store(tmp_path, str(newer))

    assert store.get_historical_features(flights, FEATURES).to_df()["late_ratio"].tolist() == [0.2]
    assert other.get_historical_features(flights, FEATURES).to_df()["late_ratio"].tolist() == [0.9]


def test_schema_is_inferred_below_the_root(tmp_path):
    carrier_rows().to_parquet(tmp_path / "carrier.parquet", index=False)
    store = open_store(tmp_path, str(tmp_path))

    store.apply([CARRIER, carrier_view(schema=[])])

    assert {field.name for field in store.get_feature_view("carrier_delays").features} == {"late_ratio", "flights"}


def test_a_missing_file_and_a_missing_column_are_named(store, tmp_path):
    flights = pd.DataFrame({"carrier": ["UA"], "event_timestamp": [at(3)]})
    carrier_rows().drop(columns="flights").to_parquet(tmp_path / "carrier.parquet", index=False)
    with pytest.raises(DataError, match="flights"):
        store.get_historical_features(flights, FEATURES).to_df()

    (tmp_path / "carrier.parquet").unlink()
    with pytest.raises(ObjectMissingError, match=re.escape("carrier.parquet")):
        store.get_historical_features(flights, FEATURES).to_df()


def test_validation_warns_of_an_unreadable_source_and_a_missing_event_time(store, tmp_path, caplog):
    offline_store = AsOfOfflineStore()
    for path, column in (
        ("absent.parquet", "event_timestamp"),
        ("carrier.parquet", "when"),
        ("carrier.parquet", "created"),
    ):
        offline_store.validate_data_source(store.config, FileSource(path=path, timestamp_field=column))

    assert len(caplog.messages) == 2
    assert "absent.parquet" in caplog.messages[0]
    assert "column `when` must exist, but got ['carrier'," in caplog.messages[1]


def test_a_source_that_is_no_file_is_refused(store):
    source = RequestSource(name="request", schema=[Field(name="distance", dtype=Float64)])

    with pytest.raises(DataError, match=re.escape("must have a FileSource over parquet, but got source=RequestSource")):
        AsOfOfflineStore.pull_all_from_table_or_query(store.config, source, ["carrier"], [], "event_timestamp")
