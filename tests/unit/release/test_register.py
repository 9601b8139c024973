"""Registration over a real MLflow on SQLite, with a small model of the real contract."""

import copy
import dataclasses
import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from components.base import documents
from components.base.adapters import mlflow as tracking
from components.base.contract.load import load_problem
from components.base.dataset import Feature, Prepared, read_prepared, write_prepared
from components.base.errors import ModelRefusedError
from components.base.statistics.resampling import Gain
from components.base.tables import write_table
from components.features.explore.profile import build_profile, profile_numbers, read_profile, write_profile
from components.features.feast.feature_store import declared_views
from components.features.online.store import ServedViews
from components.models.artifact import JUDGED, fingerprint_model, load_model, save_model
from components.models.baselines import Baseline, load_current_solution, save_current_solution
from components.models.documents import ComparisonRecord, CrossValidated, ModelDetails, ReleaseRefit
from components.models.refit import REFIT
from components.release.provenance import describe_maker, explain_maker, read_provenance
from components.release.record import Release, fingerprint_predictions
from components.release.register import Evidence, register_release
from components.tasks import open_task
from components.tasks.binary.policy import ThresholdPolicy
from components.tasks.binary.rule import GroupRate
from tests.unit import made_models

PROBLEM = load_problem(Path(__file__).parents[3] / "pipelines" / "problems" / "flight-delays.yaml")
TASK = open_task(PROBLEM)
FEATURES = (
    Feature("distance", "numeric", "request", "Distance"),
    Feature("carrier", "categorical", "request", "Carrier"),
)


def make_prepared(folder: Path) -> Prepared:
    folder.mkdir()
    rng = np.random.default_rng(3)
    rows = 400
    test = pd.DataFrame(
        {
            "carrier": rng.choice(["UA", "B6"], rows).astype(object),
            "flight": np.arange(rows) + 1,
            "origin": "EWR",
            "dest": "IAH",
            "tailnum": [None if i % 9 == 0 else "N1" for i in range(rows)],
            "scheduled_at": pd.date_range("2013-06-01", periods=rows, freq="30min", tz="UTC"),
            "distance": rng.normal(900, 200, rows),
            "late": rng.integers(0, 2, rows),
        }
    )
    test.to_parquet(folder / "test.parquet")
    # A quarter with one row a minute, in whose second half flights are longer.
    train = test.sample(90 * 24 * 60, replace=True, random_state=1)
    times = pd.date_range("2013-01-01", periods=len(train), freq="min", tz="UTC")
    train["distance"] += np.where(times.month > 2, 300.0, 0.0)
    train.assign(predicted_at=times).to_parquet(folder / "train.parquet")
    test.tail(5).assign(predicted_at=pd.Timestamp("2013-07-01", tz="UTC")).to_parquet(folder / "newest.parquet")
    pd.DataFrame({"row_hash": np.arange(rows, dtype=np.uint64), "role": "test"}).to_parquet(folder / "ledger.parquet")
    write_prepared(Prepared(folder, "late", FEATURES, {"test_end": "2013-07-01"}, {"test": rows}, "p" * 64))
    return read_prepared(folder, folder)


def make_model(folder: Path, prepared: Prepared) -> None:
    test = prepared.read("test")
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["carrier"]), ("passthrough", ["distance"])
    )
    estimator = make_pipeline(encode, LogisticRegression(max_iter=5000)).fit(
        test[["distance", "carrier"]], test["late"]
    )
    details = ModelDetails(
        metric="average_precision",
        train_rows=400,
        parameters={"logistic": {"C": 1.0}},
        comparison=(),
        reason="The only one.",
        cross_validated=CrossValidated(score=0.5, low=0.4, high=0.6, rows=400),
        calibration={"method": "none", "reason": "Not needed."},
        policy={},
        seconds=1.0,
    )
    save_model(folder, made_models.make_model(TASK, estimator, FEATURES, 0.4, details=details))


def make_evaluation(folder: Path, verdict: str, reasons: list[str]) -> None:
    interval = Gain(0.5, 0.4, math.nan, 0.42)
    evaluation = made_models.make_evaluation(
        verdict,
        reasons=tuple(reasons),
        contenders={"challenger": made_models.make_contender(scores={"average_precision": interval})},
        comparisons={"dummy": ComparisonRecord(primary=interval, value_per_1000=interval)},
    )
    documents.write(evaluation, folder / "evaluation.json")
    write_table(pd.DataFrame({"challenger__probability": np.linspace(0.1, 0.9, 400)}), folder / "predictions.parquet")
    rule = GroupRate(["carrier"], 1).fit(pd.DataFrame({"carrier": ["UA", "UA", "B6"]}), [1, 0, 0])
    policy = ThresholdPolicy(threshold=0.3)
    save_current_solution(TASK, Baseline("carrier_rule", rule, policy), folder / "baseline.json")


def make_profile(folder: Path, prepared: Prepared) -> Path:
    folder.mkdir()
    write_profile(build_profile(prepared.read("test"), FEATURES, "late"), folder / "profile.json")
    return folder


@pytest.fixture
def settings(tracking_settings):
    return tracking_settings


@pytest.fixture
def evidence(tmp_path):
    prepared = make_prepared(tmp_path / "prepared")
    make_model(tmp_path / "model", prepared)
    make_evaluation(tmp_path / "evaluation", "promote", ["It earns 900 USD more."])
    return Evidence(
        prepared=prepared,
        model_folder=tmp_path / "model",
        evaluation_folder=tmp_path / "evaluation",
        served_folder=made_models.save_judged(tmp_path / "served", tmp_path / "model"),
        profile_folder=make_profile(tmp_path / "profile", prepared),
        leaderboard=made_models.save_leaderboard(tmp_path, {"logistic": {"C": 0.5}}),
        snapshot="s3://tidemill/flight-delays/snapshots/5a5a/",
        features_uri="s3://tidemill/flight-delays/features/fefe",
        run_id="run-1",
        as_of="2013-07-01T00:00:00+00:00",
    )


def test_promoted_release_becomes_the_challenger_and_never_the_champion(evidence, settings, tmp_path):
    release = register_release(TASK, evidence, tmp_path / "release", settings)

    assert documents.read(Release, tmp_path / "release" / "release.json") == release
    assert (release.version, release.aliases, release.champion) == ("1", ("challenger",), None)
    assert tracking.find_aliases("flight-delays", settings) == {"challenger": "1"}
    assert release.fingerprints["snapshot"] == "5a5a"
    assert release.fingerprints["features"] == "fefe"


def test_registered_model_comes_back_as_it_was_evaluated(evidence, settings, tmp_path):
    release = register_release(TASK, evidence, tmp_path / "release", settings)
    files = tracking.download_version("flight-delays", release.version, tmp_path / "back", settings)
    golden = pd.read_parquet(files.model_folder / "golden.parquet")

    assert fingerprint_model(files.model_folder) == release.fingerprints["model"]
    before, after = load_model(TASK, evidence.model_folder), load_model(TASK, files.model_folder)
    np.testing.assert_array_equal(before.predict(golden), after.predict(golden))
    assert files.problem == PROBLEM
    served = documents.read(ServedViews, files.model_folder / "views.json")
    assert list(served.views) == declared_views(PROBLEM)
    assert list(pd.read_parquet(files.ledger_path)) == ["row_hash", "role"]


@pytest.fixture
def refitted(evidence):
    """The evidence of a release that serves its recipe fitted on newer rows."""
    judged, record = (
        load_model(TASK, evidence.model_folder),
        documents.read(ReleaseRefit, evidence.served_folder / REFIT),
    )
    newer = copy.deepcopy(judged.estimator)
    newer[-1].intercept_ += 0.5
    save_model(evidence.served_folder, dataclasses.replace(judged, estimator=newer))
    documents.write(record.model_copy(update={"is_refitted": True}), evidence.served_folder / REFIT)
    return evidence


def test_version_of_a_refitted_release_is_its_served_model_with_the_judged_one_beside_it(refitted, settings, tmp_path):
    release = register_release(TASK, refitted, tmp_path / "release", settings)
    folder = tracking.download_version("flight-delays", release.version, tmp_path / "back", settings).model_folder
    record, golden = tracking.find_version("flight-delays", release.version, settings), folder / "golden.parquet"

    digits = read_provenance(folder, record).fingerprints
    assert digits["served"] == fingerprint_model(folder) == fingerprint_model(refitted.served_folder)
    assert digits["model"] == fingerprint_model(folder / JUDGED) == fingerprint_model(refitted.model_folder)
    models = {"answers": load_model(TASK, folder), "predictions": load_model(TASK, folder / JUDGED)}
    for name, model in models.items():
        assert fingerprint_predictions(model, pd.read_parquet(golden)) == digits[name]
    assert documents.read(ReleaseRefit, folder / REFIT).reason == record.tags["refit"]
    # Of test rows, from which the served model has learned.
    assert read_profile(folder / "profile.json").scores == profile_numbers(pd.Series(np.linspace(0.1, 0.9, 400)))


def test_version_that_serves_what_was_judged_holds_one_model(evidence, settings, tmp_path):
    release = register_release(TASK, evidence, tmp_path / "release", settings)
    folder = tracking.download_version("flight-delays", release.version, tmp_path / "back", settings).model_folder
    assert not (folder / JUDGED).exists()
    assert release.fingerprints["served"] == release.fingerprints["model"]


def test_registered_files_are_all_that_monitoring_needs(evidence, settings, tmp_path):
    release = register_release(TASK, evidence, tmp_path / "release", settings)
    files = tracking.download_version("flight-delays", release.version, tmp_path / "back", settings)
    profile, test = read_profile(files.model_folder / "profile.json"), evidence.prepared.read("test")

    assert profile.scores == profile_numbers(pd.Series(np.linspace(0.1, 0.9, 400)))
    explored = read_profile(evidence.profile_folder / "profile.json")
    assert profile.model_copy(update={"scores": None, "score_shift": 0.0}) == explored
    # The outputs follow the distance, so windows of training differ in them.
    assert profile.score_shift > 0
    assert (profile.rows, profile.positives) == (len(test), test["late"].sum())
    current = load_current_solution(TASK, files.model_folder / "baseline.json")
    assert TASK.predict(current.estimator, pd.DataFrame({"carrier": ["UA", "B6", "ZZ"]})).tolist() == [
        [0.5],
        [0],
        [1 / 3],
    ]
    assert (current.label, current.policy) == ("carrier_rule", ThresholdPolicy(threshold=0.3))


def test_version_keeps_what_it_was_made_of_and_by(evidence, settings, tmp_path):
    release = register_release(TASK, evidence, tmp_path / "release", settings)
    files = tracking.download_version("flight-delays", release.version, tmp_path / "back", settings)
    record = tracking.find_version("flight-delays", release.version, settings)
    provenance = read_provenance(files.model_folder, record)

    assert (provenance.snapshot, provenance.as_of) == (evidence.snapshot, evidence.as_of)
    assert provenance.tried_second == {"logistic": {"C": 0.5}}
    assert provenance.fingerprints == release.fingerprints
    assert {"model.skops", "model.json", "problem.json", "golden.parquet", "ledger.parquet"} <= set(provenance.files)
    assert provenance.made_by == describe_maker(settings)


def test_version_made_elsewhere_names_the_code_that_made_it(settings):
    here = describe_maker(settings.model_copy(update={"commit": "abc123"}))
    there = here.model_copy(update={"code": "0" * 16, "cpu": ("NEON",)})

    assert explain_maker(here, here) == []
    words = " ".join(explain_maker(there, here))
    assert "other code, processor" in words
    assert "git worktree add ../tidemill-abc123 abc123" in words


@pytest.mark.parametrize(
    ("champion", "compared_with"),
    [({"version": "7", "comparable": True, "reason": "It reads the same features."}, "7"), (None, None)],
)
def test_release_names_the_champion_that_it_was_compared_with(champion, compared_with, evidence, settings, tmp_path):
    file = evidence.evaluation_folder / "evaluation.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"champion": champion}))
    register_release(TASK, evidence, tmp_path / "release", settings)
    assert documents.read(Release, tmp_path / "release" / "release.json").compared_with == compared_with


def test_golden_rows_span_the_test_period_without_the_outcome(evidence, settings, tmp_path):
    register_release(TASK, evidence, tmp_path / "release", settings)
    golden = pd.read_parquet(tmp_path / "release" / "golden.parquet")
    test = evidence.prepared.read("test")

    assert len(golden) == PROBLEM.serving.golden_rows
    assert golden["scheduled_at"].is_monotonic_increasing
    assert golden["scheduled_at"].iloc[[0, -1]].tolist() == test["scheduled_at"].iloc[[0, -1]].tolist()
    assert "late" not in golden


def test_run_holds_intervals_fingerprints_and_reasons(evidence, settings, tmp_path):
    from mlflow import MlflowClient

    release = register_release(TASK, evidence, tmp_path / "release", settings)
    data = MlflowClient(settings.mlflow_uri).get_run(release.mlflow_run).data

    assert data.metrics["challenger.average_precision"] == 0.5
    assert data.metrics["challenger.average_precision.low"] == 0.4
    assert "challenger.average_precision.high" not in data.metrics
    assert data.params == {
        "family": "logistic",
        "kind": "single",
        "calibration": "none",
        "threshold": "0.4",
        "features": "2",
        "logistic.C": "1.0",
    }
    assert data.tags["kfp_run_id"] == "run-1"
    assert data.tags["model_fingerprint"] == release.fingerprints["model"]
    assert data.tags["reasons"] == "It earns 900 USD more."


@pytest.mark.parametrize(("verdict", "version"), [("hold", "1"), ("refuse", None)])
def test_held_model_gets_a_version_and_a_refused_one_only_a_run(verdict, version, evidence, settings, tmp_path):
    make_evaluation(evidence.evaluation_folder, verdict, ["300 more labels would decide it."])
    release = register_release(TASK, evidence, tmp_path / "release", settings)

    assert (release.version, release.aliases) == (version, ())
    assert release.mlflow_run
    assert tracking.find_aliases("flight-delays", settings) == {}


def test_registering_again_after_a_crash_gives_the_same_version(evidence, settings, tmp_path, monkeypatch):
    def die(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(tracking, "challenge", die)
        with pytest.raises(KeyboardInterrupt):
            register_release(TASK, evidence, tmp_path / "release", settings)
    assert tracking.find_aliases("flight-delays", settings) == {}

    assert register_release(TASK, evidence, tmp_path / "release", settings).version == "1"
    assert register_release(TASK, evidence, tmp_path / "release", settings).version == "1"
    repeated = dataclasses.replace(evidence, run_id="run-2")
    assert register_release(TASK, repeated, tmp_path / "repeated", settings).version == "1"
    assert tracking.find_version("flight-delays", "1", settings).tags["kfp_run_id"] == "run-2"
    another = dataclasses.replace(evidence, run_id="run-3", snapshot="s3://tidemill/flight-delays/snapshots/6b6b/")
    assert register_release(TASK, another, tmp_path / "release", settings).version == "2"


def test_damaged_model_is_refused_before_anything_is_written(evidence, settings, tmp_path):
    (evidence.model_folder / "model.skops").write_bytes(b"PK broken")
    with pytest.raises(ModelRefusedError, match=re.escape("model.json and model.skops must be readable")):
        register_release(TASK, evidence, tmp_path / "release", settings)
    assert tracking.find_aliases("flight-delays", settings) == {}
