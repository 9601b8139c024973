"""The reference of a registered model, read from its files alone."""

import json
import re

import pytest

from components.base.errors import ModelRefusedError
from components.features.explore.profile import write_profile
from components.monitoring.reference import make_reference, read_reference, share_importance
from tests.unit.monitoring.window_rows import FEATURES, IMPORTANCE, PROBLEM, draw_reference


@pytest.fixture
def model_folder(tmp_path):
    write_profile(draw_reference().profile, tmp_path / "profile.json")
    (tmp_path / "evaluation.json").write_text(json.dumps({"importance": IMPORTANCE}))
    features = [vars(feature) for feature in FEATURES]
    (tmp_path / "model.json").write_text(json.dumps({"threshold": 0.4, "features": features}))
    return tmp_path


def test_a_reference_is_read_from_the_files_of_a_model(model_folder):
    found = read_reference(PROBLEM, model_folder)
    assert found == make_reference(PROBLEM, draw_reference().profile, FEATURES, IMPORTANCE)
    assert found.features == FEATURES
    assert found.importance == {"distance": 0.75, "wind": 0.0, "origin": 0.25}
    assert {view.name: view.ttl_seconds for view in found.views}["origin_weather"] == 6 * 3600


def test_ranges_are_those_of_request_columns_that_are_inputs_as_they_came(model_folder):
    """`wind` is of a view; the hour and the route are computed."""
    found = read_reference(PROBLEM, model_folder).ranges
    assert set(found) == {"distance", "origin"}
    assert (found["distance"].minimum, found["distance"].maximum) == (10, 6000)


def test_importance_that_shuffling_improves_counts_as_none():
    shares = share_importance(["a", "b", "c"], [{"feature": "a", "mean": 0.3}, {"feature": "b", "mean": -0.5}])
    assert shares == {"a": 1.0, "b": 0.0, "c": 0.0}
    assert share_importance(["a"], [{"feature": "a", "mean": -0.1}]) == {"a": 0.0}


@pytest.mark.parametrize("name", ["profile.json", "evaluation.json", "model.json"])
@pytest.mark.parametrize("content", [None, "{", "{}"])
def test_a_missing_or_damaged_file_is_told_with_what_to_do(name, content, model_folder):
    (model_folder / name).unlink()
    if content is not None:
        (model_folder / name).write_text(content)
    with pytest.raises(ModelRefusedError, match=re.escape("Train and register the model again.")):
        read_reference(PROBLEM, model_folder)
