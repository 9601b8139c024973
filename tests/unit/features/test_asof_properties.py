"""The point-in-time join against pandas.merge_asof and, where pandas has no word for it, against its definition."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.base.engine import using_engine
from components.features.feast.asof import AsOfView, join_features

START = pd.Timestamp("2013-01-01", tz="UTC")
TTL_SECONDS = 3
# Few keys and few times, so that ties, duplicates and equal times are the rule.
keys = st.sampled_from(["AA", "AA", "UA", None])
seconds = st.integers(0, 12)
times = seconds.map(lambda second: START + pd.Timedelta(seconds=second))
entity_rows = st.lists(st.tuples(keys, keys, st.one_of(times, times, st.none())), max_size=30)
feature_rows = st.lists(
    st.tuples(keys, times, st.one_of(times, times, st.none())), max_size=30, unique_by=lambda row: row
)


def entity_frame(rows) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["carrier", "partner", "at"]).astype({"carrier": object, "partner": object})
    frame["at"] = pd.to_datetime(frame["at"], utc=True)
    return frame


def feature_frame(rows) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["carrier", "time", "created"]).astype({"carrier": object})
    for column in ("time", "created"):
        frame[column] = pd.to_datetime(frame[column], utc=True)
    return frame.assign(value=np.arange(len(frame), dtype="int64"))


def run_join(entities: pd.DataFrame, *views: tuple[pd.DataFrame, dict]) -> pd.DataFrame:
    with tempfile.TemporaryDirectory() as folder, using_engine("duckdb") as engine:
        joins = []
        for number, (features, options) in enumerate(views):
            path = Path(folder) / f"{number}.parquet"
            features.to_parquet(path, index=False)
            defaults = {"keys": {"carrier": "carrier"}, "features": {f"value_{number}": "value"}, "created": "created"}
            joins.append(AsOfView(**{"path": str(path), "time": "time", **defaults, **options}))
        rows = pa.Table.from_pandas(entities, preserve_index=False)
        return join_features(engine, rows, pa.Array.from_pandas(entities["at"]), joins).read_all().to_pandas()


def join_with_pandas(entities: pd.DataFrame, features: pd.DataFrame, key: str | None, ttl_seconds: int | None):
    newest_last = features.sort_values(["time", "created"], na_position="first", kind="stable")
    right = newest_last.drop_duplicates([*(["carrier"] if key else []), "time"], keep="last")
    usable = entities["at"].notna() & (entities[key].notna() if key else True)
    left = entities[usable].assign(row=np.flatnonzero(usable)).sort_values("at", kind="stable")
    options = {} if key is None else {"left_by": key, "right_by": "carrier"}
    if key:
        right = right[right["carrier"].notna()]
        left = left.astype({key: str})
        right = right.astype({"carrier": str})
    if ttl_seconds is not None:
        options["tolerance"] = pd.Timedelta(seconds=ttl_seconds)
    matched = pd.merge_asof(
        left[["row", "at", *([key] if key else [])]], right, left_on="at", right_on="time", **options
    )
    expected = np.full(len(entities), -1.0)
    expected[matched["row"]] = matched["value"].fillna(-1)
    return expected.tolist()


@settings(max_examples=30, deadline=None)
@given(entity_rows, feature_rows, st.sampled_from([None, TTL_SECONDS]))
def test_join_equals_merge_asof_with_ties_nulls_and_duplicates(rows, features, ttl_seconds):
    entities, right = entity_frame(rows), feature_frame(features)
    ttl_us = None if ttl_seconds is None else ttl_seconds * 1_000_000

    joined = run_join(entities, (right, {"ttl_us": ttl_us}))

    assert joined["value_0"].fillna(-1).tolist() == join_with_pandas(entities, right, "carrier", ttl_seconds)


@settings(max_examples=30, deadline=None)
@given(entity_rows, feature_rows, feature_rows, feature_rows)
def test_several_views_join_as_each_does_alone_and_rows_keep_their_place(rows, first, second, third):
    entities = entity_frame(rows)
    frames = [feature_frame(features) for features in (first, second, third)]
    # Without a key, rows of different carriers may be equal in both times, and then no order is defined.
    frames[2] = frames[2].drop_duplicates(["time", "created"])
    options = [{}, {"keys": {"partner": "carrier"}, "ttl_us": TTL_SECONDS * 1_000_000}, {"keys": {}}]

    joined = run_join(entities, *zip(frames, options, strict=True))

    pd.testing.assert_frame_equal(joined[entities.columns], entities)
    oracles = [("carrier", None), ("partner", TTL_SECONDS), (None, None)]
    for number, (key, ttl_seconds) in enumerate(oracles):
        expected = join_with_pandas(entities, frames[number], key, ttl_seconds)
        assert joined[f"value_{number}"].fillna(-1).tolist() == expected


def best_known(row, features: pd.DataFrame, ttl: pd.Timedelta | None) -> float:
    known = features[
        (features["carrier"] == row.carrier) & (features["time"] <= row.at) & (features["created"] <= row.at)
    ]
    if ttl is not None:
        known = known[known["time"] >= row.at - ttl]
    return -1.0 if known.empty else float(known.sort_values(["time", "created"])["value"].iloc[-1])


def crowded_frames(seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw rows so close together that every rule of the join decides some of them."""
    random = np.random.default_rng(seed)

    def draw(count: int) -> pd.DatetimeIndex:
        return START + pd.to_timedelta(random.integers(4, 14, count), unit="s")

    entities = pd.DataFrame({"carrier": random.choice(["AA", "UA"], 60), "at": draw(60)})
    features = pd.DataFrame({"carrier": random.choice(["AA", "UA"], 30), "time": draw(30), "created": draw(30)})
    features.loc[random.random(30) < 0.2, "created"] = pd.NaT
    features["time"] -= pd.Timedelta(seconds=int(random.integers(0, 4)))
    return entities, features.drop_duplicates().assign(value=lambda rows: np.arange(len(rows)))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([None, TTL_SECONDS]))
def test_known_only_takes_the_best_row_that_was_written_by_then(seed, ttl_seconds):
    entities, right = crowded_frames(seed)
    ttl = None if ttl_seconds is None else pd.Timedelta(seconds=ttl_seconds)
    ttl_us = None if ttl is None else ttl // pd.Timedelta("1us")

    joined = run_join(entities, (right, {"known_only": True, "ttl_us": ttl_us}), (right, {"ttl_us": ttl_us}))

    expected = [best_known(row, right, ttl) for row in entities.itertuples()]
    assert joined["value_0"].fillna(-1).tolist() == expected
    assert joined["value_1"].fillna(-1).tolist() == join_with_pandas(entities, right, "carrier", ttl_seconds)


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_feature_times_without_zone_and_of_any_unit_are_utc(unit):
    features = feature_frame([("AA", START, START)])
    features["time"] = features["time"].dt.tz_localize(None).dt.as_unit(unit)
    entities = entity_frame([("AA", None, START), ("AA", None, START - pd.Timedelta("1us"))])

    joined = run_join(entities, (features, {"created": None}))

    assert joined["value_0"].fillna(-1).tolist() == [0, -1]


def test_an_empty_view_and_keys_that_are_all_null_match_nothing():
    entities = entity_frame([(None, "AA", START)])
    options = [{"keys": {"partner": "carrier"}}, {"keys": {"carrier": "carrier"}}]

    joined = run_join(entities, *zip([feature_frame([]), feature_frame([("AA", START, START)])], options, strict=True))

    assert joined[["value_0", "value_1"]].isna().all(axis=None)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_join_of_many_rows_over_many_keys_equals_merge_asof(seed):
    random = np.random.default_rng(seed)
    span = pd.to_timedelta(random.integers(0, 100_000, 5_000), unit="s")
    entities = pd.DataFrame({"carrier": random.integers(0, 60, 5_000), "at": START + span})
    features = pd.DataFrame(
        {
            "carrier": random.integers(0, 60, 2_000),
            "time": START + pd.to_timedelta(random.integers(0, 100_000, 2_000), unit="s"),
            "created": START + pd.to_timedelta(random.permutation(2_000), unit="s"),
            "value": np.arange(2_000),
        }
    )

    joined = run_join(entities, (features, {"ttl_us": 20_000 * 1_000_000}))

    right = features.sort_values(["time", "created"]).drop_duplicates(["carrier", "time"], keep="last")
    matched = pd.merge_asof(
        entities.reset_index().sort_values("at"),
        right,
        left_on="at",
        right_on="time",
        by="carrier",
        tolerance=pd.Timedelta(seconds=20_000),
    ).sort_values("index")
    assert joined["value_0"].fillna(-1).tolist() == matched["value"].fillna(-1).tolist()
