"""Registered models and feature tables of the small world of flights."""

import shutil

import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from components.base.adapters import mlflow as tracking
from components.base.dataset import Prepared, write_prepared
from components.base.documents import write
from components.base.statistics.resampling import Interval
from components.base.tables import write_table
from components.features.explore.profile import build_profile, write_profile
from components.models.artifact import save_model
from components.models.baselines import Baseline, save_current_solution
from components.models.documents import Importance
from components.release.register import Evidence, register_release
from components.tasks.binary.policy import ThresholdPolicy
from components.tasks.binary.rule import GroupRate
from tests.unit.made_models import make_contender, make_evaluation, make_model, save_judged, save_leaderboard
from tests.unit.monitoring.flights_world import FEATURES, PROBLEM, START, TASK, make_flights

RISK = "origin_departure_delay_3h"


def train_rows():
    """Return rows that a model learns from: May of another draw."""
    flights = make_flights(start=START - pd.Timedelta(days=31), seed=5)
    return flights.assign(late=flights["late"].astype("int8"), **{RISK: flights["risk"]})


def save_release_files(folder, features=FEATURES, threshold=0.3):
    """Fit a model on the numeric ones of the features, and write what a release holds into one folder."""
    numeric = tuple(feature for feature in features if feature.kind == "numeric")
    names, rows = [feature.name for feature in numeric], train_rows()
    estimator = make_pipeline(SimpleImputer(), LogisticRegression()).fit(rows[names], rows["late"])
    model = make_model(TASK, estimator, numeric, threshold)
    save_model(folder, model)
    rule = GroupRate(["carrier", "scheduled_hour"], 1).fit(rows[["carrier", "scheduled_hour"]], rows["late"])
    save_current_solution(
        TASK, Baseline("carrier_hour_rule", rule, ThresholdPolicy(threshold=0.28)), folder / "baseline.json"
    )
    return model


def promote_model(settings, folder, features=FEATURES):
    """Register a model, promote it, and return its version and itself."""
    folder.mkdir(parents=True)
    rows = train_rows()
    model = save_release_files(folder / "files", features)
    save_model(folder / "model", model)
    evidence = Evidence(
        prepared=_prepare(folder / "prepared", rows, features),
        model_folder=folder / "model",
        evaluation_folder=_evaluate(folder / "evaluation", rows, model),
        served_folder=save_judged(folder / "served", folder / "model"),
        profile_folder=_profile(folder / "profile", rows, model.features),
        leaderboard=save_leaderboard(folder),
        snapshot=f"s3://b/s/{folder.name}",
        features_uri="s3://b/f/22",
        run_id=folder.name,
        as_of=START.isoformat(),
    )
    shutil.copyfile(folder / "files" / "baseline.json", folder / "evaluation" / "baseline.json")
    release = register_release(TASK, evidence, folder / "release", settings)
    tracking.promote(PROBLEM.name, release.version, settings)
    return release.version, model


def write_features(folder, flights, views):
    """Write one feature table a view; the risk of each flight is known at the time of its prediction."""
    for view in views:
        (key,) = view.keys
        moments = {"event_timestamp": flights["event_time"], "created_timestamp": flights["event_time"]}
        values = {
            feature.name: None if feature.kind == "categorical" else flights["risk"] if feature.name == RISK else 0.0
            for feature in view.features
        }
        table = pd.DataFrame({key: flights.get(key, "EWR-IAH"), **values, **moments})
        texts = [feature.name for feature in view.features if feature.kind == "categorical"]
        write_table(table.astype(dict.fromkeys(texts, object)), folder / f"{view.name}.parquet")
    return str(folder)


def _prepare(folder, rows, features):
    folder.mkdir()
    judged = rows.drop(columns=["risk", "probability"])
    write_table(judged, folder / "test.parquet")
    write_table(judged.assign(predicted_at=judged["event_time"]), folder / "train.parquet")
    write_table(judged.tail(5), folder / "newest.parquet")
    write_table(pd.DataFrame({"row_hash": [1], "role": ["test"]}), folder / "ledger.parquet")
    prepared = Prepared(folder, "late", tuple(features), {}, {"test": len(rows)}, "p" * 64, folder)
    write_prepared(prepared)
    return prepared


def _evaluate(folder, rows, model):
    folder.mkdir()
    names = model.feature_names
    importance = [
        Importance(feature=name, origin="request", mean=0.1 if name == RISK else 0.001, std=0.0) for name in names
    ]
    challenger = make_contender(scores={"roc_auc": Interval(0.75, 0.7, 0.8)})
    write(
        make_evaluation(contenders={"challenger": challenger}, importance=tuple(importance)), folder / "evaluation.json"
    )
    outputs = model.predict(rows)[:, 0]
    write_table(pd.DataFrame({"challenger__probability": outputs}), folder / "predictions.parquet")
    return folder


def _profile(folder, rows, features):
    folder.mkdir()
    write_profile(build_profile(rows, features, "late"), folder / "profile.json")
    return folder
