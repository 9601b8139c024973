"""Models on disk: the same predictions, and nothing loaded that is not trusted."""

import re
import zipfile

import pytest
import skops.io
from sklearn.base import BaseEstimator, ClassifierMixin

from components.base.errors import ModelRefusedError
from components.models.artifact import Model, load_model, save_model
from components.models.calibrate import calibrate
from components.models.candidates import DEFAULTS, build_candidate
from components.models.ensemble import combine_members
from components.models.parallel import quiet_fits


class Stranger(ClassifierMixin, BaseEstimator):
    """A classifier that nobody has put on the allow list."""


def make_model(small, estimator, kind="single", calibration="none"):
    return Model(estimator, 0.5, small.FEATURES, "late", "logistic", kind, calibration, {"score": float("nan")})


def check_round_trip(folder, model, rows):
    save_model(folder, model)
    loaded = load_model(folder)
    assert loaded.predict(rows) == pytest.approx(model.predict(rows), abs=1e-12)
    assert (loaded.features, loaded.threshold, loaded.kind) == (model.features, model.threshold, model.kind)
    assert sorted(file.name for file in folder.iterdir()) == ["model.json", "model.skops"]


@pytest.mark.parametrize("family", DEFAULTS)
@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_every_family_comes_back_with_its_calibration(tmp_path, small, family, method):
    rows = small.make_rows(0, 12, seed=1)
    with quiet_fits():
        core = build_candidate(family, small.FEATURES).fit(rows[small.NAMES], rows["late"])
        from components.models.calibrate import _fit_calibration

        estimator = _fit_calibration(method, core, rows[small.NAMES], rows["late"])
    check_round_trip(tmp_path, make_model(small, estimator, calibration=method), rows)


@pytest.mark.parametrize("kind", ["voting", "stacking"])
def test_every_kind_of_ensemble_comes_back(tmp_path, small, kind):
    rows = small.make_rows(0, 12, seed=1)
    members = {
        family: build_candidate(family, small.FEATURES).fit(rows[small.NAMES], rows["late"])
        for family in ("logistic", "naive_bayes")
    }
    core = combine_members(kind, members, small.held_out(), rows[small.NAMES], rows["late"])
    estimator, _ = calibrate(core, small.NAMES, "late", rows)
    check_round_trip(tmp_path, make_model(small, estimator, kind), rows)


def test_details_without_a_value_are_read_as_none(tmp_path, small):
    save_model(tmp_path, make_model(small, build_candidate("naive_bayes", small.FEATURES)))
    assert load_model(tmp_path).details == {"score": None}


def test_type_outside_the_allow_list_is_refused(tmp_path, small):
    save_model(tmp_path, make_model(small, Stranger()))
    with pytest.raises(ModelRefusedError, match=re.escape("must be in the allow list")) as refusal:
        load_model(tmp_path)
    assert "Stranger" in str(refusal.value)


def test_damaged_file_is_refused(tmp_path, small):
    save_model(tmp_path, make_model(small, build_candidate("naive_bayes", small.FEATURES)))
    (tmp_path / "model.skops").write_bytes(b"not a zip")
    with pytest.raises(ModelRefusedError, match=re.escape("must be readable, but got BadZipFile")):
        load_model(tmp_path)


def test_missing_file_is_refused(tmp_path, small):
    with pytest.raises(ModelRefusedError, match=re.escape("Train the model again, or fetch it")):
        load_model(tmp_path)


def test_file_holds_no_pickle(tmp_path, small):
    rows = small.make_rows(0, 12, seed=1)
    save_model(
        tmp_path,
        make_model(small, build_candidate("random_forest", small.FEATURES).fit(rows[small.NAMES], rows["late"])),
    )
    with zipfile.ZipFile(tmp_path / "model.skops") as archive:
        names = archive.namelist()
    assert "schema.json" in names
    assert all(name.endswith((".json", ".npy", ".npz")) for name in names)
    assert skops.io.get_untrusted_types(file=tmp_path / "model.skops")
