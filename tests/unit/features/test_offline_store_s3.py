"""The offline store over a real S3 service, and what it says when that service is not there."""

import io
import re

import pandas as pd
import pytest
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float64, String

from components.base.errors import DataError, ObjectMissingError, StoreAccessError, StoreUnavailableError

MOMENT = pd.Timestamp("2013-01-05", tz="UTC")
FLIGHTS = pd.DataFrame({"carrier": ["UA", "ZZ", "AA"], "event_timestamp": MOMENT})
FEATURES = ["delays:late_ratio"]
KEY = "snapshots/1/delays.parquet"


@pytest.fixture
def bucket(store, store_settings, monkeypatch):
    endpoint = store_settings.s3
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", endpoint.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", endpoint.secret_key)
    monkeypatch.setenv("AWS_DEFAULT_REGION", endpoint.region)
    rows = pd.DataFrame(
        {
            "carrier": ["AA", "UA", "UA"],
            "event_timestamp": [MOMENT - pd.Timedelta(days=days) for days in (1, 2, 1)],
            "late_ratio": [0.1, 0.2, 0.3],
        }
    )
    content = io.BytesIO()
    rows.to_parquet(content, index=False)
    store.put_bytes(KEY, content.getvalue())
    return store


def open_features(folder, root: str) -> FeatureStore:
    carrier = Entity(name="carrier", join_keys=["carrier"], value_type=ValueType.STRING)
    delays = FeatureView(
        name="delays",
        entities=[carrier],
        schema=[Field(name="carrier", dtype=String), Field(name="late_ratio", dtype=Float64)],
        source=FileSource(path="delays.parquet", timestamp_field="event_timestamp"),
    )
    features = FeatureStore(
        config=RepoConfig(
            project="flights",
            provider="local",
            registry=str(folder / "registry.db"),
            online_store={"type": "sqlite", "path": str(folder / "online.db")},
            offline_store={
                "type": "components.features.feast.offline_store.AsOfOfflineStore",
                "root": root,
                "threads": 1,
            },
            entity_key_serialization_version=3,
        )
    )
    features.apply([carrier, delays])
    return features


def test_features_on_s3_are_joined_materialised_and_served(bucket, tmp_path):
    features = open_features(tmp_path, f"s3://{bucket.bucket}/snapshots/1/")

    joined = features.get_historical_features(entity_df=FLIGHTS, features=FEATURES).to_df()
    features.materialize(MOMENT - pd.Timedelta(days=9), MOMENT)
    online = features.get_online_features(features=FEATURES, entity_rows=[{"carrier": "UA"}]).to_dict()

    assert joined["late_ratio"].fillna(-1).tolist() == [0.3, -1, 0.1]
    assert online["late_ratio"] == [0.3]


def test_a_missing_object_is_named(bucket, tmp_path):
    features = open_features(tmp_path, f"s3://{bucket.bucket}/snapshots/2")

    with pytest.raises(ObjectMissingError, match=re.escape("snapshots/2/delays.parquet")):
        features.get_historical_features(entity_df=FLIGHTS, features=FEATURES).to_df()


def test_a_truncated_object_is_a_data_error(bucket, tmp_path):
    bucket.put_bytes(KEY, bucket.get_bytes(KEY)[:-100])
    features = open_features(tmp_path, f"s3://{bucket.bucket}/snapshots/1")

    with pytest.raises(DataError, match=re.escape("delays.parquet")):
        features.get_historical_features(entity_df=FLIGHTS, features=FEATURES).to_df()


def test_refused_credentials_are_an_access_error(bucket, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    features = open_features(tmp_path, f"s3://{bucket.bucket}/snapshots/1")

    with pytest.raises(StoreAccessError, match="point-in-time join"):
        features.get_historical_features(entity_df=FLIGHTS, features=FEATURES).to_df()


def test_a_dead_object_store_is_a_transient_error(bucket, tmp_path, monkeypatch):
    # Port 9, discard: nothing listens there.
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    features = open_features(tmp_path, f"s3://{bucket.bucket}/snapshots/1")

    with pytest.raises(StoreUnavailableError, match=re.escape("127.0.0.1:9")):
        features.get_historical_features(entity_df=FLIGHTS, features=FEATURES).to_df()
