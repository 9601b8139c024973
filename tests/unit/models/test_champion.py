"""The champion as a comparator: by which of its models, what it must share with the contract, and when it is none."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from components.base.adapters import mlflow as tracking
from components.base.contract.load import load_problem
from components.base.errors import ModelRefusedError
from components.base.settings import load_settings
from components.base.tables import write_table
from components.models.artifact import JUDGED, save_model
from components.models.champion import Champion, fetch_champion, find_objection, read_champion
from components.models.evaluate import evaluate_model

EMPTY_LEDGER = pd.DataFrame({"row_hash": np.array([], dtype="uint64"), "role": []})


@pytest.fixture
def contract():
    """The real contract, whose key columns are declared."""
    return load_problem(Path(__file__).parents[3] / "pipelines/problems/flight-delays.yaml")


def change_source(problem, small, **columns):
    """Return the contract with columns of the examples' source changed or added."""
    name = problem.examples.source
    source = problem.model_dump()["sources"][name]
    changed = {key: source["columns"].get(key, {}) | value for key, value in columns.items()}
    return small.change(problem, sources={name: source | {"columns": source["columns"] | changed}})


def object_to(before, now, prepared, model):
    champion = Champion("3", model, EMPTY_LEDGER, before)
    return find_objection(prepared, champion, prepared.read("test"), now)


def test_same_identity_of_examples_is_no_objection(contract, prepared, model, small):
    key = contract.examples.key[0]
    reworded = change_source(contract, small, **{key: {"description": "Other words."}})
    assert object_to(reworded, contract, prepared, model) is None


def test_another_key_makes_the_leak_check_blind_and_is_an_objection(contract, prepared, model, small):
    examples = contract.examples
    other = small.change(contract, examples={"key": [*examples.key, examples.predicted_at]})
    objection = object_to(other, contract, prepared, model)
    assert objection.startswith("Champion version 3 was trained under another identity of examples (examples.key)")


def test_another_expression_of_the_time_of_prediction_is_an_objection(contract, prepared, model, small):
    name = contract.examples.predicted_at
    other = change_source(contract, small, **{name: {"expression": "scheduled_at - INTERVAL 3 HOUR"}})
    assert f"(column {name})" in object_to(other, contract, prepared, model)


def test_another_column_behind_the_time_of_prediction_is_an_objection(contract, prepared, model, small):
    columns = contract.sources[contract.examples.source].columns
    derived = columns[contract.examples.predicted_at].expression
    name = next(name for name in re.findall(r"\w+", derived) if name in columns)
    other = change_source(contract, small, **{name: {"expression": "now()"}})
    assert f"column {name}" in object_to(other, contract, prepared, model)


def test_another_source_is_an_objection(contract, prepared, model, small):
    source = contract.model_dump()["sources"][contract.examples.source]
    other = small.change(contract, sources={"journeys": source}, examples={"source": "journeys"})
    assert "(examples.source)" in object_to(other, contract, prepared, model)


def test_model_that_no_longer_loads_holds_the_release(task, problem, prepared, model, tmp_path, monkeypatch):
    """The registry itself is tested with `tracking`; here only what it gives back is damaged."""
    save_model(tmp_path, model)
    (tmp_path / "model.skops").write_bytes(b"PK broken")
    write_table(EMPTY_LEDGER, tmp_path / "ledger.parquet")
    files = tracking.ModelFiles("3", tmp_path, tmp_path / "ledger.parquet", problem, "file:///gone")
    monkeypatch.setattr(tracking, "download_champion", lambda *args: files)
    champion = fetch_champion(task, load_settings({"TIDEMILL_HOME": str(tmp_path)}))

    assert champion.problem == problem
    judged = evaluate_model(prepared, model, champion).evaluation
    assert judged.verdict == "hold"
    assert "Champion version 3 can no longer be read" in judged.reasons[0]
    assert judged.champion.comparable is False
    with pytest.raises(ModelRefusedError, match=re.escape("must be readable")):
        _ = champion.model


@pytest.fixture
def refitted(task, problem, prepared, model, small, tmp_path):
    """Judge with a champion whose served model is another than its judged one; it knows 20 test rows in a role."""

    def write(role):
        rows = prepared.read("train")
        fitted = task.build_candidate("naive_bayes", small.FEATURES).fit(rows[small.NAMES], rows["late"])
        save_model(tmp_path, dataclasses.replace(model, estimator=fitted))
        save_model(tmp_path / JUDGED, model)
        ledger = prepared.read_ledger()
        known = ledger[ledger["role"] == "test"].head(20).assign(role=role) if role else EMPTY_LEDGER
        write_table(known, tmp_path / "ledger.parquet")
        files = tracking.ModelFiles("3", tmp_path, tmp_path / "ledger.parquet", problem, "file:///here")
        return evaluate_model(prepared, model, read_champion(task, files))

    return write


def test_champion_is_met_by_the_model_that_it_serves_on_rows_that_this_has_not_seen(refitted):
    judged = refitted(None)
    outputs = [judged.predictions[f"{role}__probability"] for role in ("champion", "challenger")]
    assert not np.array_equal(*outputs)
    assert judged.evaluation.champion.reason.endswith("scored on all of them, by the model that it serves.")


def test_champion_is_met_by_its_judged_model_on_rows_that_the_served_one_has_seen(refitted):
    """The judged model is the challenger itself here, so that its scores tell which of both was met."""
    judged = refitted("test")
    outputs = [judged.predictions[f"{role}__probability"] for role in ("champion", "challenger")]
    np.testing.assert_array_equal(*outputs)
    assert "by its judged model: the one that it serves has learned from some of them" in (
        judged.evaluation.champion.reason
    )


@pytest.mark.parametrize("role", ["train", "validation"])
def test_champion_is_not_met_on_rows_that_both_of_its_models_have_seen(refitted, role):
    judged = refitted(role)
    assert "champion" not in judged.evaluation.contenders
    assert "was fitted on 20 of these 560 test rows" in judged.evaluation.champion.reason
