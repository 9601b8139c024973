"""Models on disk: the same predictions, and nothing loaded that is not trusted."""

import json
import math
import re
import zipfile

import numpy as np
import pytest
import skops.io
from sklearn.base import BaseEstimator, ClassifierMixin

from components.base.errors import ModelRefusedError
from components.models.artifact import load_model, save_model
from components.models.calibrate import calibrate_model
from components.models.documents import CrossValidated, ModelDetails
from components.models.parallel import quiet_fits
from components.tasks.binary.calibration import calibrate_by
from components.tasks.binary.candidates import DEFAULTS, build_candidate
from tests.unit.made_models import make_model


class Stranger(ClassifierMixin, BaseEstimator):
    """A classifier that nobody has put on the allow list."""


def check_round_trip(task, folder, model, rows):
    save_model(folder, model)
    loaded = load_model(task, folder)
    assert loaded.predict(rows) == pytest.approx(model.predict(rows), abs=1e-12)
    assert (loaded.policy, loaded.description) == (model.policy, model.description)
    assert sorted(file.name for file in folder.iterdir()) == ["model.json", "model.skops"]


@pytest.mark.parametrize("family", DEFAULTS)
@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_every_family_comes_back_with_its_calibration(tmp_path, task, small, family, method):
    rows = small.make_rows(0, 12, seed=1)
    with quiet_fits():
        core = build_candidate(family, small.FEATURES).fit(rows[small.NAMES], rows["late"])
        estimator = calibrate_by(method, core, rows[small.NAMES], rows["late"])
    check_round_trip(task, tmp_path, make_model(task, estimator, small.FEATURES, calibration=method), rows)


@pytest.mark.parametrize("kind", ["voting", "stacking"])
def test_every_kind_of_ensemble_comes_back(tmp_path, task, small, kind):
    rows = small.make_rows(0, 12, seed=1)
    members = {
        family: build_candidate(family, small.FEATURES).fit(rows[small.NAMES], rows["late"])
        for family in ("logistic", "naive_bayes")
    }
    held_out = small.held_out()
    stacker = task.fit_stacker(held_out.outputs, held_out.outcomes)
    core = task.combine(kind, members, stacker, rows[small.NAMES], rows["late"])
    estimator, _ = calibrate_model(task, core, small.NAMES, rows)
    check_round_trip(task, tmp_path, make_model(task, estimator, small.FEATURES, kind=kind), rows)


def test_details_without_a_value_come_back_without_one(tmp_path, task, small):
    unknown = CrossValidated(score=float("nan"), low=0.0, high=1.0, rows=3)
    details = ModelDetails(
        metric="f1",
        train_rows=9,
        parameters={},
        comparison=(),
        reason="",
        cross_validated=unknown,
        calibration={},
        policy={"recall": float("nan")},
        seconds=1.0,
    )
    save_model(
        tmp_path, make_model(task, build_candidate("naive_bayes", small.FEATURES), small.FEATURES, details=details)
    )
    loaded = load_model(task, tmp_path).description.details
    assert math.isnan(loaded.cross_validated.score)
    assert loaded.policy == {"recall": None}


def test_a_model_of_an_older_platform_keeps_its_threshold(tmp_path, task, small):
    save_model(tmp_path, make_model(task, build_candidate("naive_bayes", small.FEATURES), small.FEATURES))
    described = json.loads((tmp_path / "model.json").read_text())
    del described["policy"]
    (tmp_path / "model.json").write_text(json.dumps(described | {"threshold": 0.3, "details": {"metric": "f1"}}))
    loaded = load_model(task, tmp_path)
    assert loaded.policy.apply(np.array([[0.29], [0.3]])).tolist() == [False, True]
    assert loaded.description.details is None


def test_type_outside_the_allow_list_is_refused(tmp_path, task, small):
    save_model(tmp_path, make_model(task, Stranger(), small.FEATURES))
    with pytest.raises(ModelRefusedError, match=re.escape("must be in the allow list")) as refusal:
        load_model(task, tmp_path)
    assert "Stranger" in str(refusal.value)


def test_damaged_file_is_refused(tmp_path, task, small):
    save_model(tmp_path, make_model(task, build_candidate("naive_bayes", small.FEATURES), small.FEATURES))
    (tmp_path / "model.skops").write_bytes(b"not a zip")
    with pytest.raises(ModelRefusedError, match=re.escape("must be readable, but got BadZipFile")):
        load_model(task, tmp_path)


def test_missing_file_is_refused(tmp_path, task, small):
    with pytest.raises(ModelRefusedError, match=re.escape("Train the model again, or fetch it")):
        load_model(task, tmp_path)


def test_file_holds_no_pickle(tmp_path, task, small):
    rows = small.make_rows(0, 12, seed=1)
    save_model(
        tmp_path,
        make_model(
            task,
            build_candidate("random_forest", small.FEATURES).fit(rows[small.NAMES], rows["late"]),
            small.FEATURES,
        ),
    )
    with zipfile.ZipFile(tmp_path / "model.skops") as archive:
        names = archive.namelist()
    assert "schema.json" in names
    assert all(name.endswith((".json", ".npy", ".npz")) for name in names)
    assert skops.io.get_untrusted_types(file=tmp_path / "model.skops")
