"""The search: as many trials as the contract says, never worse than the defaults, every trial kept."""

import re

import pytest

from components.base.errors import ModelRefusedError
from components.models.batch import BATCH
from components.models.documents import Leaderboard
from components.models.tune import tune_candidates


def board(*chosen, **champion):
    return Leaderboard.model_construct(chosen=chosen, champion=champion)


@pytest.fixture(scope="module")
def found(task, prepared):
    return tune_candidates(task, prepared, board("logistic", "naive_bayes"))


def test_tuned_family_is_never_worse_than_its_defaults(found):
    for entry in found.families:
        assert entry.score.mean >= entry.default_score.mean


def test_first_trial_is_the_default(found, tuned):
    defaults = {entry.family: entry.parameters for entry in tuned.families}
    for entry in found.families:
        assert entry.trials[0].parameters == defaults[entry.family]
        assert entry.trials[0].state == "complete"


def test_second_trial_is_the_champion_when_it_is_of_this_family(task, prepared):
    champion = board("logistic", "naive_bayes", logistic={"C": 0.02}, mlp={"width": 9})
    tried = {entry.family: entry.trials for entry in tune_candidates(task, prepared, champion).families}
    assert tried["logistic"][1].parameters == {"C": 0.02}
    assert tried["naive_bayes"][1].parameters.keys() == {"var_smoothing"}


def test_best_family_comes_first(found):
    means = [entry.score.mean for entry in found.families]
    assert means == sorted(means, reverse=True)


def test_order_in_which_families_were_tuned_changes_nothing(task, prepared, found):
    turned = tune_candidates(task, prepared, board("naive_bayes", "logistic"))
    assert turned.fingerprint == found.fingerprint


def test_each_family_is_tried_as_often_as_the_contract_says(task, found):
    assert [len(entry.trials) for entry in found.families] == [task.problem.search.trials] * 2
    assert found.cut_short == ()


def test_every_trial_says_how_it_ended(found):
    for trial in found.families[0].trials:
        assert trial.state in ("complete", "pruned")
        assert (trial.score is None) == (trial.state == "pruned")
        assert (trial.reason is None) == (trial.state == "complete")


def test_hopeless_trials_are_scored_on_fewer_folds(found, task):
    pruned = [trial for entry in found.families for trial in entry.trials if trial.state == "pruned"]
    assert pruned
    assert all(len(trial.folds) < task.problem.split.folds for trial in pruned)


def test_lower_is_better_metric_is_minimised(task, prepared, small):
    lower = small.change(task, metrics={"primary": "log_loss"})
    entry = tune_candidates(lower, prepared, board("logistic")).families[0]
    complete = [trial.score for trial in entry.trials if trial.score is not None]
    assert entry.score.mean == min(complete)


def test_ceiling_that_is_reached_is_seen(task, prepared, small):
    hasty = small.change(task, search={"ceiling_seconds": 1e-9})
    found = tune_candidates(hasty, prepared, board("logistic"))
    assert [len(entry.trials) for entry in found.cut_short] == [BATCH]
    assert found.families[0].trials[0].state == "complete"


def test_trial_that_cannot_be_fitted_is_kept_with_its_reason(task, prepared, monkeypatch):
    build = type(task).build_candidate

    def refuse_strong(self, family, features, parameters=None):
        if parameters and parameters["var_smoothing"] != task.default_parameters(family)["var_smoothing"]:
            parameters = {"var_smoothing": -1.0}
        return build(self, family, features, parameters)

    monkeypatch.setattr(type(task), "build_candidate", refuse_strong)
    entry = tune_candidates(task, prepared, board("naive_bayes")).families[0]
    assert [trial.state for trial in entry.trials] == ["complete"] + ["failed"] * 8
    assert "InvalidParameterError" in entry.trials[1].reason
    assert entry.parameters == task.default_parameters("naive_bayes")


def test_search_without_a_finished_trial_is_refused(task, prepared, monkeypatch):
    def fail(*_):
        raise ValueError("no")

    monkeypatch.setattr(type(task), "predict", fail)
    words = "at least one trial must be completed, but got none for logistic: ValueError: no"
    with pytest.raises(ModelRefusedError, match=re.escape(words)):
        tune_candidates(task, prepared, board("logistic"))
