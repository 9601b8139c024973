"""Deployment over a real registry, a real online store and the real predictor as a process."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from components.base import tracking
from components.base.errors import ModelRefusedError
from components.base.prepared import Feature, Prepared, read_prepared, write_prepared
from components.base.problem import load_problem
from components.base.tables import write_table
from components.features.feature_store import declared_views
from components.features.materialize import fill_online_store
from components.models.artifact import Model, save_model
from components.release import deploy as deploy_module
from components.release.deploy import deploy_release, rollback_endpoint
from components.release.endpoint import read_endpoint, start_endpoint
from components.release.register import Evidence, register_release
from components.release.replay import Target, replay_v1
from components.release.requests import RequestSchema
from components.release.trial import Gate, Trial

PROBLEM = load_problem(Path(__file__).parents[3] / "pipelines" / "problems" / "flight-delays.yaml")
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


def fill_features(folder: Path, settings) -> None:
    """Write one table a view with a value for each known entity, and fill the online store from them."""
    for view in declared_views(PROBLEM):
        (key,) = view.keys
        known = KEYS[key]
        values = {
            feature.name: np.linspace(1, 2, len(known)) if feature.kind == "numeric" else ["AIRBUS"] * len(known)
            for feature in view.features
        }
        times = {"event_timestamp": AS_OF, "created_timestamp": AS_OF}
        write_table(pd.DataFrame({key: known, **values, **times}), folder / f"{view.name}.parquet")
    fill_online_store(settings, PROBLEM, str(folder), AS_OF)


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
    write_table(pd.DataFrame({"row_hash": [1], "role": ["test"]}), folder / "ledger.parquet")
    write_prepared(Prepared(folder, "late", FEATURES, {}, {"test": rows}, "p" * 64))
    return read_prepared(folder)


def make_evaluation(folder: Path, verdict: str) -> None:
    folder.mkdir(exist_ok=True)
    evaluation = {
        "metric": "average_precision",
        "verdict": verdict,
        "reasons": [f"The verdict is {verdict}."],
        "contenders": {},
        "comparisons": {},
        "generalisation": {"gap": {"estimate": 0.1}},
    }
    (folder / "evaluation.json").write_text(json.dumps(evaluation))


@pytest.fixture
def settings(tracking_settings):
    return tracking_settings


@pytest.fixture
def prepared(tmp_path):
    return make_prepared(tmp_path / "prepared")


@pytest.fixture
def model_folder(tmp_path, prepared):
    test = prepared.read("test")
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)
    numeric = [feature.name for feature in FEATURES if feature.kind == "numeric"]
    columns = make_column_transformer(("passthrough", numeric), (encoder, ["carrier", "plane_manufacturer"]))
    estimator = make_pipeline(columns, HistGradientBoostingClassifier(max_iter=10, random_state=0))
    estimator.fit(test[NAMES], test["late"])
    save_model(tmp_path / "model", Model(estimator, 0.5, FEATURES, "late", "hist", "single", "none"))
    return tmp_path / "model"


@pytest.fixture
def release(tmp_path, prepared, model_folder, settings):
    """Register one release a call and return its folder."""

    def make(run_id: str, verdict: str = "promote") -> Path:
        make_evaluation(tmp_path / "evaluation", verdict)
        evidence = Evidence(
            prepared, model_folder, tmp_path / "evaluation", "s3://b/s/11", "s3://b/f/22", run_id, AS_OF.isoformat()
        )
        register_release(PROBLEM, evidence, tmp_path / f"release-{run_id}", settings)
        return tmp_path / f"release-{run_id}"

    return make


@pytest.fixture
def passed(monkeypatch):
    """Replace the trial by one whose gates pass, for what is about the promotion and not the endpoint."""
    gate = Gate("v1_difference", 0.0, 1e-9, "V1 is right.")
    monkeypatch.setattr(deploy_module, "try_endpoint", lambda *args: Trial((gate,), {"rows": 1}, []))


def read_deployment(folder: Path) -> dict:
    return json.loads((folder / "deployment.json").read_text())


def test_release_proves_itself_over_both_protocols_and_takes_charge(release, settings, tmp_path):
    fill_features(tmp_path / "features", settings)
    deploy_release(PROBLEM, release("run-1"), tmp_path / "deployment", settings)
    told = read_deployment(tmp_path / "deployment")

    assert told["outcome"] == "promoted", told["reasons"]
    assert (told["candidate"], told["champion"], told["previous"]) == ("1", "1", None)
    assert [gate["name"] for gate in told["gates"]] == [
        "v1_difference",
        "v2_difference",
        "different_decisions",
        "p99_milliseconds",
    ]
    assert told["replay"]["rows"] == 200
    assert told["replay"]["v1_difference"] <= 1e-9
    # Every other aircraft is unknown, and one carrier of three.
    assert told["replay"]["missing_features"]["plane_seats"] == 100
    assert 0 < told["replay"]["missing_features"]["carrier_late_ratio_24h"] < 200
    skew = {entry["feature"]: entry for entry in told["skew"]}
    assert skew["carrier"]["different_rows"] == 0
    assert skew["carrier_late_ratio_24h"]["different_rows"] == 200
    assert tracking.find_aliases("flight-delays", settings) == {"champion": "1"}
    assert read_endpoint("flight-delays", settings).version == "1"
    assert "version 1 (compiled) listens" in (tmp_path / "deployment" / "predictor.log").read_text()

    with start_endpoint("flight-delays", settings) as endpoint:
        target = Target(endpoint.url, endpoint.name, RequestSchema.of(PROBLEM))
        answers = replay_v1(target, [endpoint.example])
        assert endpoint.version == "1"
        assert 0 <= answers.probabilities[0] <= 1
    assert not endpoint.process.is_running()


def test_second_release_goes_to_the_same_endpoint_through_the_stages_of_the_contract(
    passed, release, settings, tmp_path
):
    deploy_release(PROBLEM, release("run-1"), tmp_path / "first", settings)
    deploy_release(PROBLEM, release("run-2"), tmp_path / "second", settings)
    first, second = read_deployment(tmp_path / "first"), read_deployment(tmp_path / "second")

    assert (second["champion"], second["previous"]) == ("2", "1")
    assert first["endpoint"] == second["endpoint"] == "flight-delays"
    assert [stage["percent"] for stage in first["rollout"]] == [100]
    assert [stage["percent"] for stage in second["rollout"]] == PROBLEM.serving.canary_percent
    canary = yaml.safe_load((tmp_path / "second" / second["rollout"][0]["file"]).read_text())
    assert canary["spec"]["predictor"]["name"] == "v1"
    assert canary["spec"]["canary"][0]["predictor"]["name"] == "v2"
    record = read_endpoint("flight-delays", settings)
    assert (record.version, record.previous) == ("2", "1")


@pytest.mark.parametrize("verdict", ["hold", "refuse"])
def test_release_that_is_not_wanted_leaves_the_champion_and_says_why(passed, verdict, release, settings, tmp_path):
    deploy_release(PROBLEM, release("run-1"), tmp_path / "first", settings)
    deploy_release(PROBLEM, release("run-2", verdict), tmp_path / "second", settings)
    told = read_deployment(tmp_path / "second")

    assert (told["outcome"], told["champion"], told["rollout"]) == ("kept", "1", [])
    assert told["reasons"] == ["Version 1 stays in charge.", f"The verdict is {verdict}."]
    assert read_endpoint("flight-delays", settings).version == "1"


def test_endpoint_that_fails_a_gate_leaves_the_champion_and_keeps_the_reason(
    passed, release, settings, tmp_path, monkeypatch
):
    deploy_release(PROBLEM, release("run-1"), tmp_path / "first", settings)
    late = Gate("p99_milliseconds", 80.0, 50.0, "99 of 100 single requests took at most 80 ms (limit 50).")
    monkeypatch.setattr(deploy_module, "try_endpoint", lambda *args: Trial((late,), None, []))
    deploy_release(PROBLEM, release("run-2"), tmp_path / "second", settings)
    told = read_deployment(tmp_path / "second")

    assert (told["outcome"], told["champion"], told["inference_service"]) == ("refused", "1", None)
    assert told["reasons"] == [late.reason, "Version 1 stays in charge."]
    assert tracking.find_aliases("flight-delays", settings) == {"champion": "1"}
    assert tracking.find_version("flight-delays", "2", settings).tags["deployment_reasons"] == late.reason


def test_model_that_changed_in_the_registry_is_refused_before_it_serves(release, settings, tmp_path):
    folder = release("run-1")
    stored = Path(tracking.find_version("flight-delays", "1", settings).storage_uri.removeprefix("file://"))
    (stored / "model.json").write_text((stored / "model.json").read_text().replace("0.5", "0.9"))
    deploy_release(PROBLEM, folder, tmp_path / "deployment", settings)

    told = read_deployment(tmp_path / "deployment")
    assert told["outcome"] == "refused"
    assert told["reasons"][0] == "The registry's files of version 1 are not the model that was evaluated."


def test_predictor_that_cannot_start_is_refused_with_the_end_of_its_log(release, settings, tmp_path, monkeypatch):
    fill_features(tmp_path / "features", settings)
    monkeypatch.setenv("TIDEMILL_BUCKIT", "typo")
    deploy_release(PROBLEM, release("run-1"), tmp_path / "deployment", settings)

    told = read_deployment(tmp_path / "deployment")
    assert told["outcome"] == "refused"
    assert "its process ended" in told["reasons"][0]
    assert "Did you mean 'TIDEMILL_BUCKET'?" in told["reasons"][0]
    assert tracking.find_aliases("flight-delays", settings) == {}


@pytest.mark.parametrize("point", ["plan_rollout", "promote", "record_endpoint"])
def test_crash_in_between_promotes_nothing_by_half_and_the_next_try_ends_it(
    point, passed, release, settings, tmp_path, monkeypatch
):
    deploy_release(PROBLEM, release("run-1"), tmp_path / "first", settings)
    folder = release("run-2")

    def die(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(tracking if point == "promote" else deploy_module, point, die)
        with pytest.raises(KeyboardInterrupt):
            deploy_release(PROBLEM, folder, tmp_path / "second", settings)
    in_charge = "2" if point == "record_endpoint" else "1"
    assert tracking.find_aliases("flight-delays", settings)["champion"] == in_charge
    assert not (tmp_path / "second" / "deployment.json").exists()

    deploy_release(PROBLEM, folder, tmp_path / "second", settings)
    told = read_deployment(tmp_path / "second")
    assert (told["outcome"], told["champion"], told["previous"]) == ("promoted", "2", "1")
    assert tracking.find_aliases("flight-delays", settings) == {"champion": "2"}
    assert read_endpoint("flight-delays", settings).version == "2"


def test_rollback_puts_the_champion_before_in_charge(passed, release, settings, tmp_path):
    deploy_release(PROBLEM, release("run-1"), tmp_path / "first", settings)
    with pytest.raises(ModelRefusedError, match=re.escape("a champion before the present one must exist")):
        rollback_endpoint(PROBLEM, "It flags every flight.", settings)
    deploy_release(PROBLEM, release("run-2"), tmp_path / "second", settings)

    assert rollback_endpoint(PROBLEM, "It flags every flight.", settings) == "1"
    assert read_endpoint("flight-delays", settings).version == "1"


def test_endpoint_without_a_champion_says_what_to_run(settings):
    with (
        pytest.raises(ModelRefusedError, match=re.escape("Run `make demo` first.")),
        start_endpoint("flight-delays", settings),
    ):
        pass
