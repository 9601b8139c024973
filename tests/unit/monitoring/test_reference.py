"""The reference of a registered model, read from its files alone."""

import json
import re

import pytest

from components.base.documents import write
from components.base.errors import ModelRefusedError
from components.features.explore.profile import write_profile
from components.models.documents import Importance
from components.monitoring.reference import make_reference, read_evaluation, read_reference, share_importance
from tests.unit.made_models import make_evaluation, make_model
from tests.unit.monitoring.window_rows import FEATURES, IMPORTANCE, TASK, draw_reference


def read(model_folder):
    return read_reference(TASK, model_folder, read_evaluation(model_folder))


def measured(**means):
    return [Importance(feature=name, origin="request", mean=mean, std=0.0) for name, mean in means.items()]


@pytest.fixture
def model_folder(tmp_path):
    write_profile(draw_reference().profile, tmp_path / "profile.json")
    write(make_evaluation(importance=IMPORTANCE), tmp_path / "evaluation.json")
    write(make_model(TASK, None, FEATURES).description, tmp_path / "model.json")
    return tmp_path


def test_a_reference_is_read_from_the_files_of_a_model(model_folder):
    found = read(model_folder)
    assert found == make_reference(TASK, draw_reference().profile, FEATURES, IMPORTANCE)
    assert found.features == FEATURES
    assert found.importance == {"distance": 0.75, "wind": 0.0, "origin": 0.25}
    assert {view.name: view.ttl_seconds for view in found.views}["origin_weather"] == 6 * 3600


def test_ranges_are_those_of_request_columns_that_are_inputs_as_they_came(model_folder):
    """`wind` is of a view; the hour and the route are computed."""
    found = read(model_folder).ranges
    assert set(found) == {"distance", "origin"}
    assert (found["distance"].minimum, found["distance"].maximum) == (10, 6000)


def test_importance_that_shuffling_improves_counts_as_none():
    assert share_importance(["a", "b", "c"], measured(a=0.3, b=-0.5)) == {"a": 1.0, "b": 0.0, "c": 0.0}
    assert share_importance(["a"], measured(a=-0.1)) == {"a": 0.0}


def test_evaluation_of_an_older_platform_gives_no_importance_and_a_warning(model_folder, caplog):
    old = {"contenders": {"challenger": {"scores": {}}}, "importance": [{"feature": "distance", "mean": 0.03}]}
    (model_folder / "evaluation.json").write_text(json.dumps(old))
    found = read(model_folder)
    assert read_evaluation(model_folder) is None
    assert set(found.importance.values()) == {0.0}
    assert "the champion's evaluation is of an older platform" in caplog.text


@pytest.mark.parametrize("name", ["profile.json", "evaluation.json", "model.json"])
@pytest.mark.parametrize("content", [None, "{", "{}"])
def test_a_missing_or_damaged_file_is_told_with_what_to_do(name, content, model_folder):
    (model_folder / name).unlink()
    if content is not None:
        (model_folder / name).write_text(content)
    with pytest.raises(ModelRefusedError, match=re.escape("Train and register the model again.")):
        read(model_folder)
