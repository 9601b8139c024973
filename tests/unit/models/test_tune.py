"""The search: never worse than the defaults, within its budget, every trial kept."""

import re
import time

import pytest

from components.base.errors import ModelRefusedError
from components.models.documents import Leaderboard
from components.models.tune import tune_candidates


def board(*chosen):
    return Leaderboard.model_construct(chosen=chosen)


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


def test_best_family_comes_first(found):
    means = [entry.score.mean for entry in found.families]
    assert means == sorted(means, reverse=True)


def test_every_trial_says_how_it_ended(found):
    for trial in found.families[0].trials:
        assert trial.state in ("complete", "pruned")
        assert (trial.score is None) == (trial.state == "pruned")
        assert (trial.reason is None) == (trial.state == "complete")
        assert trial.seconds >= 0


def test_lower_is_better_metric_is_minimised(task, prepared, small):
    lower = small.change(task, metrics={"primary": "log_loss"})
    entry = tune_candidates(lower, prepared, board("logistic")).families[0]
    complete = [trial.score for trial in entry.trials if trial.score is not None]
    assert entry.score.mean == min(complete)


def test_search_ends_with_its_budget(task, prepared, small):
    hasty = small.change(task, search={"tune_seconds": 0.05})
    started = time.monotonic()
    found = tune_candidates(hasty, prepared, board("logistic"))
    assert time.monotonic() - started < 5
    assert found.families[0].trials[0].state == "complete"


def test_search_without_a_finished_trial_is_refused(task, prepared, monkeypatch):
    def fail(*_):
        raise ValueError("no")

    monkeypatch.setattr(type(task), "suggest_parameters", fail)
    with pytest.raises(ModelRefusedError, match=re.escape("at least one trial must be completed, but got none for")):
        tune_candidates(task, prepared, board("logistic"))
