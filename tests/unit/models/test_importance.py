"""What the model leans on, and its worst cases."""

import dataclasses

from components.models.importance import list_worst_cases, permute_features
from components.models.scorecard import open_rows


def test_features_that_made_the_outcome_matter_most(task, prepared, model):
    opened = open_rows(task, prepared.read("test"))
    measured = permute_features(opened, model)
    assert [entry.feature for entry in measured[:2]] == ["warmth", "shop"]
    assert measured[0].mean > 10 * abs(measured[-1].mean)
    assert permute_features(opened, model) == measured


def test_direction_of_the_metric_is_respected(task, prepared, model, small):
    by_loss = small.change(task, metrics={"primary": "log_loss"})
    opened, model = open_rows(by_loss, prepared.read("test")), dataclasses.replace(model, task=by_loss)
    assert permute_features(opened, model)[0].feature == "warmth"
    assert permute_features(opened, model)[0].mean > 0


def test_worst_cases_are_the_most_confident_errors(task, prepared, model, small):
    rows = prepared.read("test")
    cases = list_worst_cases(open_rows(task, rows), model.predict(rows), small.NAMES)
    alarms = [case for case in cases if case.kind == "false_alarm"]
    missed = [case for case in cases if case.kind == "missed"]
    assert (len(alarms), len(missed)) == (10, 10)
    assert {case.outcome for case in alarms} == {0}
    assert alarms[0].output[0] == model.predict(rows)[(rows["late"] == 0).to_numpy()].max()
    assert missed[0].output[0] == model.predict(rows)[(rows["late"] == 1).to_numpy()].min()
    assert set(alarms[0].key) == {"ticket", "scheduled_at"}
    assert set(alarms[0].features) == set(small.NAMES)
