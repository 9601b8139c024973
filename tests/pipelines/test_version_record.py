"""A version is built again to the byte from its record; what was edited is named; why it is there is told."""

import dataclasses
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from components.base.adapters import mlflow as tracking
from components.base.adapters.s3 import ObjectStore, open_store
from components.base.adapters.seaweedfs import SeaweedFS
from components.base.contract.load import load_problem
from components.base.errors import DataError
from components.base.settings import Settings, load_settings
from components.base.tables import read_table
from components.base.times import parse_time
from components.features.online.materialize import fill_online_store
from components.features.online.store import open_online_features
from components.models.artifact import JUDGED, fingerprint_model, load_model
from components.release.provenance import fetch_version
from components.release.record import fingerprint_predictions
from components.release.reproduce import rebuild_version
from components.release.smoke_test import judge_newest, read_trial_rows
from components.reports.why.prediction import explain_prediction
from components.reports.why.version import explain_version, list_changes
from components.serving.prediction_log.schema import SegmentHeader, feature_column, object_key, output_column
from components.tasks import open_task
from pipelines.simulation.demo_data import land_deliveries
from tests.pipelines.training_steps import train

PROBLEMS = Path(__file__).parents[2] / "pipelines" / "problems"
NAME, AS_OF = "flight-delays", "2013-03-01T00:00:00+00:00"
OUTPUTS = "contract snapshot features prepared trials model predictions gates verdict served answers".split()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, seaweedfs: SeaweedFS) -> Iterator[Settings]:
    """An installation of its own with the problem cut to five weeks, two families, four trials and a weak rule."""
    folder = tmp_path_factory.mktemp("reproduce")
    contract = yaml.safe_load((PROBLEMS / f"{NAME}.yaml").read_text())
    contract["split"] |= {"train_days": 21, "validation_days": 7, "test_days": 7, "minimum_rows": 500}
    contract["search"] |= {"candidates": ["logistic", "hist_gradient_boosting"], "keep": 2, "trials": 4}
    contract["search"] |= {"select_rows": 3000, "tune_rows": 3000}
    # A rule that knows one rate for all, so that the few rows make a release that is accepted, and fitted once more.
    contract["baseline"] |= {"minimum_rows": 1_000_000}
    (folder / "problems").mkdir()
    (folder / "problems" / f"{NAME}.yaml").write_text(yaml.safe_dump(contract))
    places = {
        "TIDEMILL_HOME": str(folder / "home"),
        "TIDEMILL_PROBLEMS": str(folder / "problems"),
        "TIDEMILL_BUCKET": "test-reproduce",
    }
    with pytest.MonkeyPatch.context() as patched:
        # boto3 keeps the credentials of the first store of a process.
        patched.setattr(boto3, "DEFAULT_SESSION", None)
        for name, value in load_settings(places).with_store(seaweedfs.endpoint).child_environment().items():
            patched.setenv(name, value)
        settings = load_settings()
        settings.home.mkdir()
        open_store(settings).ensure_bucket()
        yield settings


@pytest.fixture(scope="module")
def version(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The version that a training registered, step by step."""
    land_deliveries(NAME, until=AS_OF)
    task = open_task(load_problem(settings.problems / f"{NAME}.yaml"))
    release, _ = train(task, AS_OF, tmp_path_factory.mktemp("run"), settings)
    assert release.version
    return release.version


@contextmanager
def changed_byte(store: ObjectStore, place: str) -> Iterator[None]:
    """Change one byte of an object, and bring it back at the end."""
    content = store.get_bytes(place)
    # A digit of a JSON document stays a digit, so that the document can still be read.
    digits = [index for index, byte in enumerate(content) if chr(byte) in "234567"]
    middle = digits[len(digits) // 2]
    store.put_bytes(place, content[:middle] + bytes([content[middle] + 1]) + content[middle + 1 :])
    try:
        yield
    finally:
        store.put_bytes(place, content)


def test_version_is_built_again_on_one_core_with_other_seed_zone_and_locale(version: str, settings: Settings) -> None:
    core = str(min(os.sched_getaffinity(0)))
    words = [sys.executable, "-m", "pipelines.commands", "reproduce", "--version", version]
    environment = {**os.environ, "PYTHONHASHSEED": "71", "TZ": "Asia/Tokyo", "LC_ALL": "C", "COLUMNS": "200"}
    done = subprocess.run(["taskset", "-c", core, *words], env=environment, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"^  \w+ +(\w+) +equal", done.stdout, re.MULTILINE) == OUTPUTS
    assert "every output is as it was registered" in done.stdout


def test_version_holds_the_served_model_and_the_judged_one(version: str, settings: Settings, tmp_path: Path) -> None:
    recorded = fetch_version(NAME, version, tmp_path / "version", settings)
    folder, digits = recorded.files.model_folder, recorded.provenance.fingerprints

    assert fingerprint_model(folder) == digits["served"] != digits["model"] == fingerprint_model(folder / JUDGED)
    task, golden = open_task(recorded.files.problem), read_table(folder / "golden.parquet")
    served, judged = load_model(task, folder), load_model(task, folder / JUDGED)
    assert served.policy == judged.policy
    assert [fingerprint_predictions(one, golden) for one in (served, judged)] == [
        digits["answers"],
        digits["predictions"],
    ]


def test_first_output_that_differs_is_the_one_whose_input_does(
    version: str, settings: Settings, tmp_path: Path
) -> None:
    recorded = fetch_version(NAME, version, tmp_path / "version", settings)
    another = recorded.provenance.model_copy(update={"tried_second": {"logistic": {"C": 0.0123}}})
    task = open_task(recorded.files.problem)
    edited = dataclasses.replace(recorded, provenance=another)
    rebuilt = rebuild_version(task, edited, tmp_path, settings)

    compared = [next(rebuilt) for _ in OUTPUTS[:5]]
    assert [one.name for one in compared if not one.is_equal] == ["trials"]
    assert compared[-1].step == "tune"


@pytest.mark.parametrize(
    "name", ["problem.json", "model.skops", "judged/model.skops", "golden.parquet", "provenance.json"]
)
def test_edited_file_of_the_registry_is_named(name: str, version: str, settings: Settings, tmp_path: Path) -> None:
    place = tracking.find_version(NAME, version, settings).storage_uri
    store = open_store(settings)
    with changed_byte(store, f"{place}/{name}"), pytest.raises(DataError, match=f"{re.escape(name)} must be as it was"):
        fetch_version(NAME, version, tmp_path, settings)


def test_edited_tag_of_the_registry_is_named(version: str, settings: Settings, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(settings.mlflow_uri)
    before = client.get_model_version(NAME, version).tags["prepared_fingerprint"]
    client.set_model_version_tag(NAME, version, "prepared_fingerprint", "0" * 64)
    try:
        with pytest.raises(DataError, match=f"tag prepared_fingerprint must be {before}, but got 000"):
            fetch_version(NAME, version, tmp_path, settings)
    finally:
        client.set_model_version_tag(NAME, version, "prepared_fingerprint", before)


@pytest.mark.parametrize("name", ["flights.parquet", "snapshot.json"])
def test_edited_snapshot_is_named(name: str, version: str, settings: Settings, tmp_path: Path) -> None:
    recorded = fetch_version(NAME, version, tmp_path / "version", settings)
    rebuilt = rebuild_version(open_task(recorded.files.problem), recorded, tmp_path, settings)
    assert next(rebuilt).is_equal
    place = f"{recorded.provenance.snapshot}{name}"
    with changed_byte(open_store(settings), place), pytest.raises(DataError, match=f"{re.escape(name)} must be as it"):
        next(rebuilt)


def test_chain_behind_a_version_names_each_stage_and_its_file(version: str, settings: Settings, tmp_path: Path) -> None:
    chain = {link.stage: link for link in explain_version(NAME, version, tmp_path, settings)}

    assert list(chain) == ["cause", "run", "contract", "data", "code", "judgement", "served model", "release"]
    assert "no ruling names this version" in chain["cause"].words[0]
    assert "1 March 2013" in chain["run"].words[0]
    assert any(words.startswith("flights: ") and "2013-02-01" in words for words in chain["data"].words)
    assert any("beats_current_solution" in words for words in chain["judgement"].words)
    assert chain["served model"].words[0].startswith("The recipe is fitted once more on all ")
    assert chain["judgement"].place.endswith("evaluation.json")


def test_chain_names_what_the_contract_changed_against_the_champion(
    version: str, settings: Settings, tmp_path: Path
) -> None:
    before = load_problem(settings.problems / f"{NAME}.yaml").model_dump(mode="json")
    after = {**before, "search": {**before["search"], "trials": 9}, "owner": {**before["owner"], "team": "desk"}}
    assert list_changes(before, after) == [
        f"owner.team: {before['owner']['team']}, now desk",
        f"search.trials: {before['search']['trials']}, now 9",
    ]
    assert list_changes(before, before) == []


@pytest.fixture(scope="module")
def logged_row(version: str, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """One golden row, answered by the version and written as the predictor's log writes it."""
    recorded = fetch_version(NAME, version, tmp_path_factory.mktemp("logged"), settings)
    task = open_task(recorded.files.problem)
    model = load_model(task, recorded.files.model_folder)
    row = read_table(recorded.files.model_folder / "golden.parquet").iloc[[0]].reset_index(drop=True)
    output, at = model.predict(row), datetime(2013, 2, 27, 12, tzinfo=UTC)
    header = SegmentHeader.of(task, model.features, ["carrier"], version, model.policy.model_dump())
    cells = {
        **{name: row[name][0] for name in header.request},
        **{feature_column(name): row[name][0] for name in header.features},
        "request_id": "r-1",
        "row": 0,
        "event_time": at,
        "logged_at": at,
        "label_due_at": at,
        "model_version": version,
        "decision": bool(model.policy.apply(output)[0]),
        "sampling_ratio": 1.0,
        output_column(task.output_columns[0]): float(output[0, 0]),
    }
    table = pa.Table.from_pylist([{name: cells.get(name) for name in header.schema().names}], header.schema())
    written = io.BytesIO()
    pq.write_table(table, written)
    open_store(settings).put_bytes(object_key(NAME, at.date(), "segment-1"), written.getvalue())
    return row


def test_answer_is_told_with_its_inputs_and_what_moved_it(
    logged_row: pd.DataFrame, version: str, settings: Settings, tmp_path: Path
) -> None:
    task = open_task(load_problem(settings.problems / f"{NAME}.yaml"))
    chain = {link.stage: link for link in explain_prediction(task, "r-1", 0, tmp_path, settings)}

    assert list(chain) == ["answer", "features", "label", "what moved it"]
    assert f"version {version}" in chain["answer"].words[0]
    assert any(words.startswith(f"carrier: {logged_row['carrier'][0]} ") for words in chain["features"].words)
    assert "no monitoring run has recorded it yet" in chain["label"].words[0]
    sizes = [abs(float(words.split()[1])) for words in chain["what moved it"].words]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 0


def test_newest_requests_are_served_as_training_would_have_got_them(
    version: str, settings: Settings, tmp_path: Path
) -> None:
    """Over every view and transform of the flights: equal values, and none missing that training had."""
    recorded = fetch_version(NAME, version, tmp_path, settings)
    problem, folder = recorded.files.problem, recorded.files.model_folder
    fill_online_store(settings, problem, recorded.provenance.features, parse_time(AS_OF))
    trial, model = read_trial_rows(folder, folder), load_model(open_task(problem), folder)
    assert trial.newest is not None
    assert len(trial.newest) == problem.serving.golden_rows
    assert (trial.newest["scheduled_at"] > parse_time(AS_OF) - timedelta(days=2)).all()

    online = open_online_features(problem, settings)
    compared, gates = judge_newest(problem, model.features, trial, online, settings)
    assert {gate.name: gate.verdict for gate in gates} == {
        "training_serving_skew": "pass",
        "missing_features": "pass",
        "expired_features": "pass",
    }
    assert {one.feature for one in compared} == set(model.feature_names)
    assert {one.feature: one.different_rows for one in compared if one.different_rows} == {}


def test_answer_that_was_not_logged_is_refused_in_words(
    logged_row: pd.DataFrame, settings: Settings, tmp_path: Path
) -> None:
    task = open_task(load_problem(settings.problems / f"{NAME}.yaml"))
    with pytest.raises(DataError, match="row 7 of request 'r-1' must be in the prediction log"):
        explain_prediction(task, "r-1", 7, tmp_path, settings)
