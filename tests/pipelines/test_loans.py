"""A problem that shares no name, key or shape with the flights goes the whole way: landed, trained, served, watched.

Its entity is a whole number, a column that is joined is a whole number that may be missing, its files are written with
semicolons and headers of several words.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
import numpy as np
import pandas as pd
import pytest

import feature_repo
from components.base.adapters.s3 import open_store
from components.base.adapters.seaweedfs import SeaweedFS
from components.base.contract.load import load_problem
from components.base.settings import Settings, load_settings
from components.base.task import Task
from components.base.times import parse_time
from components.data.ingest import ingest_sources
from components.data.validate import validate_snapshot
from components.features.build import publish_features
from components.features.feast import feature_store
from components.features.online.materialize import fill_online_store
from components.monitoring.monitor import monitor_window
from components.release.deploy import deploy_release
from components.release.record import Deployment
from components.serving.endpoint import start_endpoint
from components.tasks import open_task
from tests.pipelines.training_steps import train

LOANS = Path(__file__).parent / "loans"
NAME, TRAINED, WATCHED = "loan-defaults", "2024-06-10T00:00:00+00:00", "2024-06-20T00:00:00+00:00"


@dataclass(frozen=True)
class Desk:
    """A credit desk whose model was released."""

    task: Task
    settings: Settings
    deployment: Deployment
    applications: pd.DataFrame


def make_applications(rows: int = 8000) -> pd.DataFrame:
    """Draw applications of half a year; one borrower in seven defaults often, and one office in five."""
    rng = np.random.default_rng(3)
    minutes = np.sort(rng.integers(0, 182 * 24 * 60, rows))
    asked = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(minutes, unit="min")
    borrower, office, amount = rng.integers(1, 401, rows), rng.integers(1, 13, rows), rng.gamma(2, 900, rows).round(2)
    risk = (borrower % 7 == 0) * 2.5 + (amount > 3000) * 1.0 + (office % 5 == 0) * 1.4 - 2.2
    bad = rng.random(rows) < 1 / (1 + np.exp(-risk))
    return pd.DataFrame(
        {
            "Application No.": np.arange(1, rows + 1),
            "Borrower": borrower,
            "Office": np.where(rng.random(rows) < 0.05, "", office.astype(str)),
            "Sum asked (EUR)": amount,
            "Asked on": asked.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "Went bad": np.where(bad, "true", "false"),
        }
    )


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Task]:
    """The problem, with declarations in a copy of the feature repository."""
    folder = tmp_path_factory.mktemp("loans") / "feature_repo"
    shutil.copytree(feature_store.REPOSITORY, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "loan_defaults").mkdir()
    for name in ("views.py", "borrower_history.sql"):
        shutil.copy(LOANS / name, folder / "loan_defaults")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(feature_store, "REPOSITORY", folder)
        patched.setattr(feature_repo, "__path__", [str(folder)])
        yield open_task(load_problem(LOANS / f"{NAME}.yaml"))


@pytest.fixture(scope="module")
def desk(task: Task, seaweedfs: SeaweedFS, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Land the applications, train as of June and release the model behind its endpoint."""
    folder = tmp_path_factory.mktemp("desk")
    places = {"TIDEMILL_HOME": str(folder / "home"), "TIDEMILL_BUCKET": "test-loans"}
    with pytest.MonkeyPatch.context() as patched:
        # boto3 keeps the credentials of the first store of a process.
        patched.setattr(boto3, "DEFAULT_SESSION", None)
        for name, value in load_settings(places).with_store(seaweedfs.endpoint).child_environment().items():
            patched.setenv(name, value)
        settings, applications = load_settings(), make_applications()
        settings.home.mkdir()
        store = open_store(settings)
        store.ensure_bucket()
        for month, rows in applications.groupby(applications["Asked on"].str[:7]):
            store.put_bytes(f"landing/{NAME}/desk/{month}.csv", rows.to_csv(index=False, sep=";").encode())
        _, features = train(task, TRAINED, folder, settings)
        fill_online_store(settings, task.problem, features, parse_time(TRAINED))
        deployment = deploy_release(task, folder / "release", folder / "deployment", settings)
        yield Desk(task, settings, deployment, applications)


def list_requests(applications: pd.DataFrame) -> list[dict[str, Any]]:
    """Write the applications of the days after the training as a caller would."""
    asked = pd.to_datetime(applications["Asked on"])
    after = applications[(asked >= TRAINED) & (asked < pd.Timestamp(WATCHED) - pd.Timedelta(days=3))]
    return [
        {
            "application_no": int(row["Application No."]),
            "borrower": int(row["Borrower"]),
            "office": int(row["Office"]) if row["Office"] else None,
            "sum_asked": float(row["Sum asked (EUR)"]),
            "asked_on": row["Asked on"],
        }
        for row in after.to_dict("records")
    ]


def ask(url: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    answer = httpx.post(f"{url}/v1/models/loan-desk:predict", json={"instances": rows}, timeout=60, trust_env=False)
    assert answer.status_code == 200, answer.text
    predictions: list[dict[str, Any]] = answer.json()["predictions"]
    return predictions


@pytest.mark.timeout(600)
def test_whole_numbers_that_name_things_are_found_in_training_serving_and_monitoring(
    desk: Desk, tmp_path: Path
) -> None:
    task, settings = desk.task, desk.settings
    assert desk.deployment.outcome == "promoted", desk.deployment.reasons
    verdicts = {gate.name: gate.verdict for gate in desk.deployment.gates}
    assert verdicts["missing_features"] == verdicts["training_serving_skew"] == "pass"

    rows = list_requests(desk.applications)
    with start_endpoint(NAME, settings) as endpoint:
        answers = ask(endpoint.url, rows)
    assert len(answers) == len(rows) > 200
    known = set(desk.applications.loc[desk.applications["Asked on"] < "2024-06-08", "Borrower"])
    unknown = sum(row["borrower"] not in known for row in rows)
    assert sum("past_loans" in answer["missing_features"] for answer in answers) == unknown
    assert sum("desk" in answer["missing_features"] for answer in answers) == sum(not row["office"] for row in rows)

    time, store = parse_time(WATCHED), open_store(settings)
    accepted = tmp_path / "accepted"
    validate_snapshot(task.problem, ingest_sources(task.problem, time, store), accepted)
    result = monitor_window(task, accepted, publish_features(task.problem, accepted, store), time, settings, None)
    assert result.traffic.rows == len(rows)
    assert result.performance is not None
    assert result.performance.scores["roc_auc"].estimate > 0.6
    assert result.skew is not None
    assert result.skew.different_ratio == 0
