"""The leaderboard: baselines on it, direction respected, failures listed."""

import re

import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from components.base.errors import ModelRefusedError
from components.base.statistics.folds import split_train
from components.models import select
from components.models.select import Entrant, choose_entries, list_entrants, score_entrants, select_candidates


class Broken(ClassifierMixin, BaseEstimator):
    """A family that cannot be fitted on these rows."""

    def fit(self, X, y):
        raise ValueError("singular matrix")


@pytest.fixture(scope="module")
def leaderboard(task, prepared):
    return select_candidates(task, prepared)


def test_leaderboard_holds_every_family_and_both_baselines(leaderboard):
    kinds = {entry.name: entry.kind for entry in leaderboard.entries}
    assert kinds == {
        "logistic": "candidate",
        "naive_bayes": "candidate",
        "shop_rule": "current_solution",
        "prior": "dummy",
    }


def test_families_that_beat_both_baselines_go_on_best_first(leaderboard):
    scores = [entry.scores["average_precision"].mean for entry in leaderboard.entries]
    assert scores == sorted(scores, reverse=True)
    assert list(leaderboard.chosen) == [entry.name for entry in leaderboard.entries if entry.chosen]
    assert set(leaderboard.chosen) == {"logistic", "naive_bayes"}
    assert [entry.name for entry in leaderboard.entries[2:]] == ["shop_rule", "prior"]


def test_every_metric_has_one_value_a_fold(leaderboard, task):
    entry = leaderboard.entries[0]
    assert len(entry.value_per_1000.folds) == task.problem.split.folds
    assert {len(spread.folds) for spread in entry.scores.values()} == {task.problem.split.folds}
    assert len(leaderboard.folds) == task.problem.split.folds


def test_lower_is_better_metric_ranks_the_lowest_first(task, prepared, small):
    by_loss = select_candidates(small.change(task, metrics={"primary": "log_loss"}), prepared)
    losses = [entry.scores["log_loss"].mean for entry in by_loss.entries]
    assert losses == sorted(losses)
    assert by_loss.chosen[0] == "logistic"
    assert by_loss.higher_is_better is False


def test_family_that_fails_is_listed_with_its_error(task, prepared):
    train = prepared.read("train")
    entrants = [Entrant("broken", "candidate", Broken()), *list_entrants(task, prepared)]
    entries = score_entrants(task, train, split_train(task.problem, train), entrants)
    assert entries[-1].name == "broken"
    assert entries[-1].error == "ValueError: singular matrix"
    assert choose_entries(task, entries)[0] == ["logistic", "naive_bayes"]


def test_family_that_reaches_the_ceiling_is_listed_with_its_seconds(task, prepared, small):
    train, hasty = prepared.read("train"), small.change(task, search={"ceiling_seconds": 1e-9})
    entries = score_entrants(hasty, train, split_train(task.problem, train), list_entrants(task, prepared))
    assert {entry.error[:51] for entry in entries} == {"TimeoutError: fitting must end within 1e-09 s, but "}
    assert all(entry.is_cut_short for entry in entries)
    with pytest.raises(ModelRefusedError, match=re.escape("at least one candidate must be fitted, but got logistic:")):
        choose_entries(task, entries)


def test_best_family_goes_on_alone_when_no_family_beats_the_baselines(task, leaderboard):
    entries = [entry.model_copy(update={"beats_baselines": False}) for entry in leaderboard.entries]
    chosen, note = choose_entries(task, entries)
    assert chosen == [entries[0].name]
    assert "No family beats both baselines" in note


def test_rows_that_are_not_train_are_never_read(task, prepared, monkeypatch):
    read = []
    monkeypatch.setattr(type(prepared), "read", lambda self, role: read.append(role) or make_read(self, role))
    make_read = lambda self, role: select.pd.read_parquet(self.folder / f"{role}.parquet")  # noqa: E731
    select_candidates(task, prepared)
    assert read == ["train"]
