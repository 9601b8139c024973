"""Fixtures of a release: a registry, an online store and releases of a small model of the real contract."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from components.base.contract.load import load_problem
from components.base.dataset import Feature, Prepared, read_prepared, write_prepared
from components.base.documents import write
from components.base.tables import write_table
from components.features.explore.profile import build_profile, write_profile
from components.features.request import request_table
from components.models.artifact import save_model
from components.models.baselines import Baseline, save_current_solution
from components.release.register import Evidence, register_release
from components.tasks import open_task
from components.tasks.binary.policy import ThresholdPolicy
from components.tasks.binary.rule import GroupRate
from tests.unit.made_models import make_evaluation, make_model, save_judged, save_leaderboard

PROBLEM = load_problem(Path(__file__).parents[2] / "pipelines" / "problems" / "flight-delays.yaml")
TASK = open_task(PROBLEM)
AS_OF = datetime(2013, 7, 1, tzinfo=UTC)
FEATURES = (
    Feature("distance", "numeric", "request", "Distance"),
    Feature("scheduled_hour", "numeric", "request", "Hour"),
    Feature("carrier_late_ratio_24h", "numeric", "carrier_delays", "Late flights"),
    Feature("plane_seats", "numeric", "plane_profile", "Seats"),
    Feature("carrier", "categorical", "request", "Carrier"),
    Feature("plane_manufacturer", "categorical", "plane_profile", "Manufacturer"),
)
NAMES = [feature.name for feature in FEATURES]
KEYS = {"origin": ["EWR"], "carrier": ["UA", "B6"], "tailnum": ["N1", "N2"], "route": ["EWR-IAH"]}


def fill_features(folder: Path, settings, as_of: datetime = AS_OF, entities: int = 2) -> None:
    """Write one table a view with a value for so many known entities, and fill the online store from them."""
    from components.features.feast.feature_store import declared_views
    from components.features.online.materialize import fill_online_store

    for view in declared_views(PROBLEM):
        (key,) = view.keys
        known = KEYS[key]
        values = {
            feature.name: np.linspace(1, 2, len(known)) if feature.kind == "numeric" else ["AIRBUS"] * len(known)
            for feature in view.features
        }
        times = {"event_timestamp": as_of, "created_timestamp": as_of}
        table = pd.DataFrame({key: known, **values, **times})
        write_table(table.head(entities), folder / f"{view.name}.parquet")
    fill_online_store(settings, PROBLEM, str(folder), as_of)


def make_prepared(folder: Path) -> Prepared:
    rng = np.random.default_rng(5)
    rows = 300
    test = pd.DataFrame(
        {
            "carrier": rng.choice(["UA", "B6", "ZZ"], rows).astype(object),
            "flight": np.arange(rows) + 1,
            "origin": "EWR",
            "dest": "IAH",
            "tailnum": [[None, "N1", "N2", "N999"][i % 4] for i in range(rows)],
            "scheduled_at": pd.date_range("2013-06-01", periods=rows, freq="37min", tz="UTC"),
            "distance": rng.normal(900, 200, rows),
            "scheduled_hour": rng.uniform(5, 22, rows),
            "carrier_late_ratio_24h": rng.uniform(0, 1, rows),
            "plane_seats": rng.uniform(50, 300, rows),
            "plane_manufacturer": rng.choice(["AIRBUS", "BOEING"], rows).astype(object),
            "late": rng.integers(0, 2, rows),
        }
    )
    folder.mkdir()
    write_table(test, folder / "test.parquet")
    write_table(test.assign(predicted_at=test["scheduled_at"]), folder / "train.parquet")
    write_table(make_newest(), folder / "newest.parquet")
    write_table(pd.DataFrame({"row_hash": [1], "role": ["test"]}), folder / "ledger.parquet")
    write_prepared(Prepared(folder, "late", FEATURES, {}, {"test": rows}, "p" * 64))
    return read_prepared(folder, folder)


def make_newest(rows: int = 40) -> pd.DataFrame:
    """Return requests of entities that `fill_features` knows, with the features that it gives them."""
    ones = np.arange(rows) % 2
    newest = pd.DataFrame(
        {
            "carrier": np.array(KEYS["carrier"], dtype=object)[ones],
            "flight": np.arange(rows) + 1,
            "origin": "EWR",
            "dest": "IAH",
            "tailnum": np.array(KEYS["tailnum"], dtype=object)[ones],
            "scheduled_at": pd.date_range("2013-06-30 18:00", periods=rows, freq="7min", tz="UTC"),
            "distance": 900.0 + np.arange(rows),
        }
    )
    hours = request_table(PROBLEM, newest)["scheduled_hour"]
    looked_up = {"carrier_late_ratio_24h": 1.0 + ones, "plane_seats": 1.0 + ones, "plane_manufacturer": "AIRBUS"}
    return newest.assign(scheduled_hour=hours, **looked_up, predicted_at=AS_OF)


def save_evaluation(folder: Path, verdict: str) -> None:
    write(make_evaluation(verdict), folder / "evaluation.json")
    write_table(pd.DataFrame({"challenger__probability": np.linspace(0, 1, 300)}), folder / "predictions.parquet")
    rule = GroupRate(["carrier"], 1).fit(pd.DataFrame({"carrier": ["UA", "B6"]}), [0, 1])
    save_current_solution(
        TASK, Baseline("carrier_rule", rule, ThresholdPolicy(threshold=0.5)), folder / "baseline.json"
    )


def make_profile(folder: Path, prepared: Prepared) -> Path:
    folder.mkdir(exist_ok=True)
    profile = build_profile(prepared.read("test"), prepared.features, prepared.target)
    write_profile(profile, folder / "profile.json")
    return folder


def fit_model(folder: Path, prepared: Prepared) -> Path:
    test = prepared.read("test")
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)
    numeric = [feature.name for feature in FEATURES if feature.kind == "numeric"]
    columns = make_column_transformer(("passthrough", numeric), (encoder, ["carrier", "plane_manufacturer"]))
    estimator = make_pipeline(columns, HistGradientBoostingClassifier(max_iter=10, random_state=0))
    estimator.fit(test[NAMES], test["late"])
    save_model(folder, make_model(TASK, estimator, FEATURES, family="hist"))
    return folder


def register_made(folder: Path, prepared: Prepared, run_id: str, verdict: str, settings) -> Path:
    """Register the model in `folder / "model"` with this verdict, and return the folder of its release."""
    save_evaluation(folder / "evaluation", verdict)
    evidence = Evidence(
        prepared=prepared,
        model_folder=folder / "model",
        evaluation_folder=folder / "evaluation",
        served_folder=save_judged(folder / "served", folder / "model"),
        profile_folder=make_profile(folder / "profile", prepared),
        leaderboard=save_leaderboard(folder),
        # Of its own: a run that learns the same from the same registers no version of its own.
        snapshot=f"s3://b/s/{run_id}",
        features_uri="s3://b/f/22",
        run_id=run_id,
        as_of=AS_OF.isoformat(),
    )
    register_release(TASK, evidence, folder / f"release-{run_id}", settings)
    return folder / f"release-{run_id}"


@pytest.fixture(scope="session")
def empty_tracking_database(tmp_path_factory):
    """A migrated MLflow database, made once: the migrations take two seconds."""
    from components.base.adapters import mlflow as tracking
    from components.base.settings import load_settings

    home = tmp_path_factory.mktemp("tracking")
    assert tracking.find_aliases("flight-delays", load_settings({"TIDEMILL_HOME": str(home)})) == {}
    return home / "mlflow.db"


@pytest.fixture
def tracking_settings(tmp_path, empty_tracking_database):
    """Settings of a fresh home whose tracking database is ready."""
    from components.base.settings import load_settings

    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(empty_tracking_database, home / "mlflow.db")
    return load_settings({"TIDEMILL_HOME": str(home)})


@pytest.fixture
def prepared(tmp_path):
    return make_prepared(tmp_path / "prepared")


@pytest.fixture
def model_folder(tmp_path, prepared):
    return fit_model(tmp_path / "model", prepared)


@pytest.fixture
def release(tmp_path, prepared, model_folder, tracking_settings):
    """Register one release a call and return its folder."""

    def make(run_id: str, verdict: str = "promote") -> Path:
        return register_made(tmp_path, prepared, run_id, verdict, tracking_settings)

    return make


@pytest.fixture(scope="session")
def filled_feast(tmp_path_factory):
    """Feast's folder with a filled online store, made once: it takes some seconds."""
    from components.base.settings import load_settings

    home = tmp_path_factory.mktemp("filled")
    fill_features(home / "features", load_settings({"TIDEMILL_HOME": str(home)}))
    return home / "feast"


@pytest.fixture
def filled(tracking_settings, filled_feast):
    """The online store of the settings holds two carriers and two aircraft."""
    shutil.copytree(filled_feast, tracking_settings.home / "feast")
