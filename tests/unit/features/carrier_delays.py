"""A small feature store for the tests of the offline store: delays of carriers, some of them revised."""

from datetime import timedelta
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float64, Int64, String

FEATURES = ["carrier_delays:late_ratio", "carrier_delays:flights"]
CARRIER = Entity(name="carrier", join_keys=["carrier"], value_type=ValueType.STRING)
AIRPORT = Entity(name="airport", join_keys=["airport"], value_type=ValueType.STRING)


def at(day: float) -> pd.Timestamp:
    return pd.Timestamp("2013-01-01", tz="UTC") + pd.Timedelta(days=day)


def open_store(folder: Path, root: str) -> FeatureStore:
    return FeatureStore(
        config=RepoConfig(
            project="flights",
            provider="local",
            registry=str(folder / "registry.db"),
            online_store={"type": "sqlite", "path": str(folder / "online.db")},
            offline_store={"type": "components.features.feast.offline_store.AsOfOfflineStore", "root": root},
            entity_key_serialization_version=3,
        )
    )


def carrier_view(**options) -> FeatureView:
    source = {
        "path": "carrier.parquet",
        "timestamp_field": "event_timestamp",
        "created_timestamp_column": "created",
        **options.pop("source", {}),
    }
    return FeatureView(
        **{
            "name": "carrier_delays",
            "entities": [CARRIER],
            "ttl": timedelta(days=30),
            "schema": [
                Field(name="carrier", dtype=String),
                Field(name="late_ratio", dtype=Float64),
                Field(name="flights", dtype=Int64),
            ],
            "source": FileSource(**source),
            **options,
        }
    )


def carrier_rows() -> pd.DataFrame:
    rows = [
        ("AA", at(1), at(1), 0.1, 10),
        ("AA", at(5), at(5), 0.5, 50),
        ("AA", at(5), at(6), 0.6, 60),
        ("UA", at(2), at(2), 0.2, 20),
        ("UA", at(40), at(40), 0.4, 40),
    ]
    return pd.DataFrame(rows, columns=["carrier", "event_timestamp", "created", "late_ratio", "flights"])
