"""One exam for every task: what the phases take for granted of it. And the phases pass with a task they never saw."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from components.base.contract.load import load_problem
from components.base.contract.regression import RegressionProblem
from components.base.dataset import ROLES
from components.base.statistics.resampling import Resamples, bound_interval, draw_resamples
from components.features.explore.explore import explore_training_rows
from components.models.artifact import load_model, save_model
from components.models.documents import Leaderboard
from components.models.ensemble import build_ensemble
from components.models.evaluate import evaluate_model
from components.models.select import select_candidates
from components.models.tune import tune_candidates
from components.serving.predictor.compiled.pipeline import compile_scorer
from components.tasks import open_task
from tests.contracts.minutes_task import MinutesProblem, MinutesTask
from tests.unit.models.conftest import DAYS, FEATURES, change, make_rows, write_rows

ROOT = Path(__file__).parents[2]
NAMES = [feature.name for feature in FEATURES]
BINARY = change(
    load_problem(ROOT / "pipelines/problems/flight-delays.yaml"),
    examples={"key": ["ticket", "scheduled_at"], "predicted_at": "predicted_at"},
    baseline={"name": "shop_rule", "group_by": ["shop"]},
    slices=[{"column": "shop", "maximum_regression": 0.5, "minimum_rows": 100}],
    business={"capacity_per_day": 10, "capacity_periods_per_day": 1},
    search={
        "candidates": ["logistic", "naive_bayes"], "keep": 2, "select_rows": 1000, "tune_rows": 800, "trials": 8
    },
)  # fmt: skip


def minutes_problem():
    """The same contract with a number for its outcome."""
    content = BINARY.model_dump() | {"task": "minutes"}
    content["target"] = {k: v for k, v in content["target"].items() if k not in ("positive", "negative")}
    content["business"].pop("values")
    content["metrics"] |= {"primary": "absolute_error", "minimum_lift": 0.01, "guards": []}
    content["metrics"]["maximum_generalisation_gap"] = 5.0
    content["search"] |= {"candidates": ["ridge", "tree"]}
    content["monitoring"]["performance"]["metric"] = "absolute_error"
    return MinutesProblem.model_validate(content)


def regression_problem():
    """The same contract with a number for its outcome, a shipped task."""
    content = BINARY.model_dump() | {"task": "regression", "interval": {"coverage": 0.8}}
    content["target"] = {k: v for k, v in content["target"].items() if k not in ("positive", "negative")}
    content["target"]["unit"] = "minutes"
    content["business"] |= {"values": {"short": 3.0, "surplus": 1.0}, "capacity_per_day": None}
    content["metrics"] |= {"primary": "mean_absolute_error", "minimum_lift": 0.01}
    content["metrics"]["guards"] = [{"metric": "coverage_gap", "maximum": 0.1}]
    content["metrics"]["maximum_generalisation_gap"] = 5.0
    content["search"] |= {"candidates": ["ridge", "hist_gradient_boosting"]}
    content["monitoring"]["performance"] = {"metric": "mean_absolute_error", "maximum": 30.0}
    return RegressionProblem.model_validate(content)


def make_minutes(first_day, days, seed):
    rows = make_rows(first_day, days, seed)
    noise = np.random.default_rng([seed, first_day]).normal(0, 2, len(rows))
    shop = rows["shop"].map({"A": -6.0, "B": 0.0, "C": 6.0}).fillna(0)
    return rows.assign(late=30 + 8 * rows["warmth"].fillna(0) + shop + noise)


class TaskContract:
    """The exam."""

    task = None
    make = staticmethod(make_rows)

    @pytest.fixture(scope="class")
    @classmethod
    def prepared(cls, tmp_path_factory):
        folder = tmp_path_factory.mktemp("prepared")
        return write_rows(folder, {role: cls.make(*DAYS[role], seed=1) for role in ROLES})

    @pytest.fixture(scope="class")
    @classmethod
    def fitted(cls, prepared):
        train, family = prepared.read("train"), cls.task.problem.search.candidates[0]
        return cls.task.build_candidate(family, FEATURES).fit(train[NAMES], train["late"])

    @pytest.fixture(scope="class")
    @classmethod
    def tested(cls, prepared, fitted):
        test = prepared.read("test")
        return test["late"].to_numpy(dtype=float), cls.task.predict(fitted, test[NAMES]), test["predicted_at"]

    def test_an_output_has_one_row_a_row_and_the_named_columns(self, tested):
        y, output, _ = tested
        assert output.shape == (len(y), len(self.task.output_columns))
        assert output.dtype == np.float64
        assert len(set(self.task.output_columns)) == len(self.task.output_columns)

    def test_the_primary_metric_prefers_what_was_learnt_to_shuffled_outcomes(self, tested):
        y, output, _ = tested
        shuffled = np.random.default_rng(0).permutation(y)
        decisions, metric = self.task.default_policy.apply(output), self.task.primary
        assert metric.gain(metric.score(y, output, decisions), metric.score(shuffled, output, decisions)) > 0

    def test_one_draw_of_every_block_is_the_score_itself(self, tested):
        y, output, times = tested
        drawn = draw_resamples(times, seed=0, resamples=5)
        whole = Resamples(drawn.blocks, np.ones((1, drawn.counts.shape[1])), drawn.unit)
        decisions = self.task.default_policy.apply(output)
        for name, metric in self.task.metrics.items():
            assert metric.resample(y, output, decisions, whole)[0] == pytest.approx(
                metric.score(y, output, decisions), rel=1e-5
            ), name

    def test_every_metric_gets_an_interval_round_its_score(self, tested):
        y, output, times = tested
        drawn, decisions = draw_resamples(times, seed=0, resamples=200), self.task.default_policy.apply(output)
        estimate = self.task.primary.score(y, output, decisions)
        interval = bound_interval(estimate, self.task.primary.resample(y, output, decisions, drawn), drawn)
        assert interval.low < interval.estimate < interval.high

    def test_an_estimate_without_labels_is_a_number(self, tested):
        _, output, _ = tested
        decisions = self.task.default_policy.apply(output)
        estimates = [metric.estimate(output, decisions) for metric in self.task.metrics.values() if metric.estimate]
        assert np.isfinite(estimates).all()

    def test_a_policy_survives_json_and_decides_the_same(self, tested):
        y, output, times = tested
        policy = self.task.fit_policy(y, output, times).policy
        again = self.task.read_policy(json.loads(json.dumps(policy.model_dump())))
        assert again == policy
        assert np.array_equal(again.apply(output), policy.apply(output))
        assert policy.apply(output).shape == (len(y),)

    def test_a_row_is_decided_the_same_alone_and_among_others(self, tested):
        y, output, times = tested
        policy = self.task.fit_policy(y, output, times).policy
        alone = [policy.apply(output[place : place + 1])[0] for place in range(20)]
        assert alone == policy.apply(output)[:20].tolist()

    def test_a_policy_of_another_kind_is_refused(self):
        with pytest.raises(ValueError, match=r"\w"):
            self.task.read_policy({"kind": "another", "limit": 1})

    def test_a_chosen_policy_earns_no_less_than_the_default_one(self, tested):
        y, output, times = tested
        earned = []
        for policy in (self.task.fit_policy(y, output, times).policy, self.task.default_policy):
            decided = self.task.operate(policy.apply(output), output, times)
            values = self.task.value(y, decided)
            assert values.shape == (len(y),)
            earned.append(values.sum())
        assert earned[0] >= earned[1]

    def test_the_model_loses_less_by_the_row_than_a_constant(self, tested):
        y, output, _ = tested
        constant = self.task.constant_output(y, len(y))
        assert constant.shape == output.shape
        assert self.task.row_loss(y, output).mean() < self.task.row_loss(y, constant).mean()

    def test_outcomes_are_counted_without_the_unknown_ones(self, tested):
        y, _, _ = tested
        outcome = self.task.describe_outcomes(np.r_[y, np.nan])
        assert outcome.rows == len(y)
        assert outcome.mean == pytest.approx(y.mean())
        assert sum(outcome.counts.values()) in (0, len(y))

    def test_outcomes_that_are_all_alike_are_a_fault_in_words(self, tested):
        y, _, _ = tested
        assert self.task.find_outcome_faults(y) == []
        (fault,) = self.task.find_outcome_faults(np.ones(10))
        assert fault.startswith("must ")

    def test_a_current_solution_survives_json(self, prepared):
        train, baseline = prepared.read("train"), self.task.build_baselines()["current_solution"]
        rule = baseline.estimator.fit(train[["shop"]], train["late"])
        again = self.task.restore_rule(json.loads(json.dumps(self.task.describe_rule(rule))))
        rows = pd.DataFrame({"shop": pd.Series(["A", "C", None], dtype=object)})
        assert self.task.predict(again, rows) == pytest.approx(self.task.predict(rule, rows))

    def test_sixty_rows_are_explored(self, tmp_path):
        rows = self.make(0, 2, seed=3).head(60)
        prepared = write_rows(tmp_path, {"train": rows})
        explored = explore_training_rows(self.task, prepared, tmp_path / "explored")
        assert explored.outcome.rows == 60
        assert {feature.name for feature in explored.features} == set(NAMES)

    def test_a_release_is_selected_tuned_built_and_judged(self, prepared, tmp_path):
        leaderboard = select_candidates(self.task, prepared)
        assert leaderboard.entries[0].beats_baselines
        tuned = tune_candidates(self.task, prepared, leaderboard)
        model = build_ensemble(self.task, prepared, tuned)
        evaluation = evaluate_model(prepared, model).evaluation
        assert {gate.name: gate.verdict for gate in evaluation.gates}["beats_dummy"] == "pass"
        assert evaluation.contenders["challenger"].scores.keys() == self.task.metrics.keys()
        assert Leaderboard.model_validate(leaderboard.model_dump()).chosen == leaderboard.chosen


class TestBinary(TaskContract):
    task = open_task(BINARY)

    def test_a_model_comes_back_with_its_policy(self, prepared, tmp_path):
        tuned = tune_candidates(self.task, prepared, Leaderboard.model_construct(chosen=("logistic",), champion={}))
        model = build_ensemble(self.task, prepared, tuned)
        save_model(tmp_path, model)
        rows = prepared.read("test")
        loaded = load_model(self.task, tmp_path)
        assert loaded.predict(rows) == pytest.approx(model.predict(rows), abs=1e-12)
        assert loaded.policy == model.policy


class TestRegression(TaskContract):
    task = open_task(regression_problem())
    make = staticmethod(make_minutes)

    def test_a_model_comes_back_with_its_interval_and_its_policy(self, prepared, tmp_path):
        tuned = tune_candidates(self.task, prepared, Leaderboard.model_construct(chosen=("ridge",), champion={}))
        model = build_ensemble(self.task, prepared, tuned)
        save_model(tmp_path, model)
        rows = prepared.read("test")
        loaded = load_model(self.task, tmp_path)
        assert loaded.predict(rows) == pytest.approx(model.predict(rows), abs=1e-9)
        assert loaded.policy == model.policy

    @pytest.mark.parametrize("chosen", [("ridge",), ("ridge", "hist_gradient_boosting"), ("random_forest", "ridge")])
    def test_a_model_is_served_in_its_compiled_form(self, prepared, chosen):
        leaderboard = Leaderboard.model_construct(chosen=chosen, champion={})
        model = build_ensemble(self.task, prepared, tune_candidates(self.task, prepared, leaderboard))
        scorer = compile_scorer(model, prepared.read("test")[model.feature_names].head(50))
        assert (scorer.is_compiled, scorer.reason) == (True, "")


class TestMinutes(TaskContract):
    """A task that no phase knows: its outcome is a number, its decision another one."""

    task = MinutesTask(minutes_problem())
    make = staticmethod(make_minutes)


ASKS = re.compile(
    r"""\.task\s*(==|!=|in\b)|target\.type|task\.name|["']binary["']|isinstance\([^)]*((?:Binary|Regression)\w+)\)"""
)


def test_nobody_but_open_task_asks_which_task_it_is():
    """A phase that asks is where the next task breaks."""
    allowed = {
        "components/tasks/__init__.py",
        "components/base/contract/tasks.py",
        "components/base/contract/binary.py",
        "components/base/contract/regression.py",
    }
    asking = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in ("components", "pipelines")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if str(path.relative_to(ROOT)) not in allowed and "components/tasks/" not in str(path)
        for line in path.read_text().splitlines()
        if ASKS.search(line)
    ]
    assert asking == []
