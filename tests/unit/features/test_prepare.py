"""Prepared rows hold what was known at the prediction, and nothing that was not known at `as_of`."""

import hashlib
import re
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from feast import FeatureService

from components.base.dataset import ROLES, read_prepared
from components.base.errors import DataError
from components.features.build import build_tables
from components.features.prepare import model_features, prepare_rows, read_examples
from components.tasks import open_task

DAYS = 30
PER_DAY = 12


@pytest.fixture(scope="module")
def small(problem):
    """The problem with roles of some days."""
    split = problem.split.model_copy(update={"validation_days": 5, "test_days": 5, "minimum_rows": 20})
    return problem.model_copy(update={"split": split})


def _flights(make):
    minutes = [day * 1440 + hour * 60 for day in range(DAYS) for hour in range(2, 2 + PER_DAY)]
    delays = np.random.default_rng(0).integers(-10, 60, len(minutes)).tolist()
    return make.flights(
        make.flight(n, minute, delay, tailnum=None if n % 7 == 0 else f"N{n % 5}")
        for n, (minute, delay) in enumerate(zip(minutes, delays, strict=True))
    )


@pytest.fixture(scope="module")
def as_of(make):
    return make.start + timedelta(days=DAYS)


@pytest.fixture(scope="module")
def home(small, tmp_path_factory, write_accepted, make):
    """A folder with accepted sources and the feature tables that were built of them."""
    folder = tmp_path_factory.mktemp("home")
    accepted = write_accepted(folder / "accepted", _flights(make), make.weather(DAYS * 24))
    build_tables(small, accepted, folder / "features")
    return folder


def prepare(problem, home, as_of, out):
    accepted, features = home / "accepted", str(home / "features")
    return prepare_rows(open_task(problem), accepted, features, as_of, out / "prepared", out / "test")


@pytest.fixture(scope="module")
def prepared(small, home, as_of):
    return prepare(small, home, as_of, home)


def test_every_example_comes_back_once_and_the_ledger_holds_them(prepared, small, home, as_of):
    examples = read_examples(open_task(small), home / "accepted", as_of)
    rows = pd.concat([prepared.read(role) for role in ROLES])
    assert sum(prepared.rows.values()) == len(examples)
    assert {role: len(prepared.read(role)) for role in ROLES} == {role: prepared.rows[role] for role in ROLES}
    assert not rows.duplicated(small.examples.key).any()
    ledger = prepared.read_ledger()
    assert ledger["role"].value_counts().to_dict() == {role: prepared.rows[role] for role in ROLES}
    assert ledger["row_hash"].is_unique
    assert set(ledger["row_hash"]) <= set(examples["row_hash"])


def test_service_without_views_gives_a_model_of_request_features(small, home, as_of, tmp_path, monkeypatch, prepared):
    requested = FeatureService(name="requested", features=[])
    monkeypatch.setattr("feature_repo.flight_delays.views.requested", requested, raising=False)
    features = small.features.model_copy(update={"service": "requested"})
    only = prepare(small.model_copy(update={"features": features}), home, as_of, tmp_path)
    assert only.feature_names == [feature.name for feature in prepared.features if feature.origin == "request"]
    for role in ROLES:
        rows = only.read(role)
        pd.testing.assert_frame_equal(rows, prepared.read(role)[list(rows)])


def test_columns_of_the_times_may_have_any_name(small, home, as_of, tmp_path, prepared):
    """Only the contract and the accepted rows name them: prepared rows are the same."""
    names = {"predicted_at": "asked_at", "outcome_at": "known_at"}
    flights = small.sources["flights"]
    columns = {names.get(name, name): column for name, column in flights.columns.items()}
    source = flights.model_copy(update={"columns": columns, "available_at": "known_at"})
    examples = small.examples.model_copy(update={"predicted_at": "asked_at", "label_at": "known_at"})
    renamed = small.model_copy(update={"sources": {**small.sources, "flights": source}, "examples": examples})
    accepted = pd.read_parquet(home / "accepted" / "flights.parquet").rename(columns=names)
    (tmp_path / "accepted").mkdir()
    accepted.to_parquet(tmp_path / "accepted" / "flights.parquet")
    (tmp_path / "features").symlink_to(home / "features")
    assert prepare(renamed, tmp_path, as_of, tmp_path).fingerprint == prepared.fingerprint


def test_rows_that_are_joined_in_small_pieces_are_the_same(prepared, small, home, as_of, tmp_path, monkeypatch):
    monkeypatch.setattr("components.features.prepare._PIECE_ROWS", 7)
    in_pieces = prepare(small, home, as_of, tmp_path)
    assert in_pieces.fingerprint == prepared.fingerprint
    for role in ROLES:
        pd.testing.assert_frame_equal(in_pieces.read(role), prepared.read(role))


def test_folder_without_test_rows_holds_none_of_them(prepared, small):
    """What select, tune and ensemble are given names the roles of test rows, and nothing else of them."""
    keys = ["predicted_at", *small.examples.key]
    test = set(prepared.read("test")[keys].itertuples(index=False, name=None))
    tables = {file.name: pd.read_parquet(file) for file in prepared.folder.rglob("*.parquet")}
    assert set(tables) == {"train.parquet", "validation.parquet", "ledger.parquet"}
    assert list(tables.pop("ledger.parquet")) == ["row_hash", "role"]
    given = pd.concat(tables.values())[keys]
    assert len(given) == prepared.rows["train"] + prepared.rows["validation"]
    assert test
    assert test.isdisjoint(given.itertuples(index=False, name=None))


def test_test_rows_are_refused_where_they_are_not_given(prepared):
    with pytest.raises(DataError, match="test rows must be read by evaluate and the steps after it only"):
        read_prepared(prepared.folder).read("test")


def test_features_are_those_of_a_search_by_hand(prepared, home):
    """Look up each view's newest row within its time to live for every row of test."""
    rows = prepared.read("test")
    for view, key, hours in (("aircraft_state", "tailnum", 24), ("carrier_delays", "carrier", 72)):
        table = pd.read_parquet(home / "features" / f"{view}.parquet")
        names = [feature.name for feature in prepared.features if feature.origin == view]
        for row in rows.to_dict("records"):
            at = row["predicted_at"]
            known = table[(table[key] == row[key]) & (table["event_timestamp"] <= at)]
            known = known[known["event_timestamp"] >= at - timedelta(hours=hours)].sort_values("event_timestamp")
            wanted = known[names].iloc[-1].tolist() if len(known) else [np.nan] * len(names)
            np.testing.assert_array_equal([row[name] for name in names], wanted)


def test_columns_have_the_types_that_models_expect(prepared):
    rows = prepared.read("train")
    kinds = {"numeric": "float64", "categorical": "object"}
    assert {f.name: str(rows[f.name].dtype) for f in prepared.features} == {
        f.name: kinds[f.kind] for f in prepared.features
    }
    assert rows["late"].isin([0, 1]).all()
    assert rows["route"].tolist() == ["EWR-IAH"] * len(rows)


def test_features_come_request_first_then_by_view_and_name(prepared, small):
    origins = [feature.origin for feature in prepared.features]
    assert origins == sorted(origins, key=lambda origin: (origin != "request", origin))
    requested = [name for name, feature in small.features.request.items() if feature.used_by_model]
    assert prepared.feature_names[: len(requested)] == requested
    rest = [(feature.origin, feature.name) for feature in prepared.features[len(requested) :]]
    assert rest == sorted(rest)
    assert all(len(feature.description) > 3 for feature in prepared.features)
    assert read_prepared(prepared.folder, prepared.test_folder) == prepared
    assert model_features(small) == prepared.features


def test_the_same_inputs_give_the_same_fingerprint(prepared, small, home, tmp_path, as_of):
    again = prepare(small, home, as_of, tmp_path / "again")
    earlier = prepare(small, home, as_of - timedelta(days=2), tmp_path / "earlier")
    assert again.fingerprint == prepared.fingerprint
    assert earlier.fingerprint != prepared.fingerprint


def test_a_label_that_is_not_known_yet_is_no_example(small, tmp_path, write_accepted, make):
    accepted = write_accepted(tmp_path / "accepted", make.flights([make.flight(1, 0, 0), make.flight(2, 60, 0)]))
    known = read_examples(open_task(small), accepted, make.start + timedelta(minutes=150))
    assert known["flight"].tolist() == [1]


def test_a_row_without_an_outcome_is_no_example(small, tmp_path, write_accepted, make):
    accepted = write_accepted(tmp_path / "accepted", make.flights([make.flight(1, 0, 0), make.flight(2, 10, 0)]))
    flights = pd.read_parquet(accepted / "flights.parquet")
    flights["late"] = flights["late"].astype("boolean").mask(flights["flight"] == 2)
    flights.to_parquet(accepted / "flights.parquet")
    known = read_examples(open_task(small), accepted, make.start + timedelta(days=1))
    assert known["flight"].tolist() == [1]


def test_the_end_of_test_does_not_depend_on_outcomes(prepared, small, home, as_of):
    """Every delivered flight of the last hours of test is there, however late it landed."""
    flights = pd.read_parquet(home / "accepted" / "flights.parquet")
    test_end = as_of - timedelta(hours=small.split.gap_hours)
    last = flights[(flights["predicted_at"] < test_end) & (flights["predicted_at"] >= test_end - timedelta(days=1))]
    held = prepared.read("test")
    assert set(last["flight"]) == set(held.loc[held["predicted_at"] >= test_end - timedelta(days=1), "flight"])
    assert held["predicted_at"].max() < test_end
    assert prepared.limits["test_end"] == test_end.isoformat()


def test_row_hash_is_the_md5_of_key_and_time(small, tmp_path, write_accepted, make):
    flight = make.flight(7, 0, 0)
    accepted = write_accepted(tmp_path / "accepted", make.flights([flight]))
    moments = [int(flight[name].timestamp() * 1_000_000) for name in ("scheduled_at", "predicted_at")]
    text = "\x1f".join(map(str, ["UA", 7, "EWR", "IAH", *moments]))
    wanted = int.from_bytes(hashlib.md5(text.encode()).digest()[8:], "little")
    hashes = read_examples(open_task(small), accepted, make.start + timedelta(days=1))["row_hash"]
    assert hashes.tolist() == [wanted]
    assert str(hashes.dtype) == "uint64"


def test_fold_of_train_without_both_classes_is_refused_by_name(small, tmp_path, write_accepted, make, as_of):
    """Nobody is late before the last days of train: the first folds would fit on one class."""
    flights = _flights(make)
    flights["late"] = flights["late"] & (flights["scheduled_at"] >= as_of - timedelta(days=17))
    accepted = write_accepted(tmp_path / "accepted", flights)
    with pytest.raises(DataError, match=re.escape("folds: ")) as caught:
        prepare_rows(open_task(small), accepted, "nowhere", as_of, tmp_path / "prepared", tmp_path / "test")
    first = str(caught.value).splitlines()[1]
    assert re.fullmatch(
        r"  fold 1 of 3: the \d+ rows to fit on, predicted from 2013-01-01 to 2013-01-\d\d, must have both classes of "
        r"`late`, but got only 0\. Give more history, lower `split.folds`, or .*",
        first,
    )


def test_doubled_keys_small_roles_and_single_classes_are_told_at_once(small, tmp_path, write_accepted, make, as_of):
    flights = _flights(make)
    late_week = flights["scheduled_at"] >= as_of - timedelta(days=6)
    flights.loc[late_week, "late"] = False
    flights = pd.concat([flights[flights["scheduled_at"] >= as_of - timedelta(days=13)], flights.tail(1)])
    accepted = write_accepted(tmp_path / "accepted", flights)
    with pytest.raises(DataError, match=re.escape("prepare: 3 faults.")) as caught:
        prepare_rows(open_task(small), accepted, "nowhere", as_of, tmp_path / "prepared", tmp_path / "test")
    text = str(caught.value)
    assert "must be unique, but got 1 rows again" in text
    assert "train must have at least 20 rows, but got 0." in text
    assert "test must have both classes of `late`, but got only 0." in text
