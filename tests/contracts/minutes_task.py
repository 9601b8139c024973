"""A second, small task for the tests: predict a number and order so much of it. It proves the seam, and is no product.

The outcome is a number, the output its forecast, shape (n, 1); the decision is the number that is ordered, and a wrong
order costs by the unit, too little and too much differently (a newsvendor).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import VotingRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.tree import DecisionTreeRegressor

from components.base.contract.problem import Problem
from components.base.contract.types import ColumnType
from components.base.statistics.resampling import resample_mean
from components.base.task import Metric, NamedEstimator, Outcome, OutputSeries, PolicyChoice
from components.features.explore.training_rows import Association
from components.models.pipelines import build_pipeline
from components.serving.predictor.compiled.encoders import CannotCompileError

# Currency by the unit that is missing, and by the unit that is too much.
SHORT, SURPLUS = 3.0, 1.0


class MinutesProblem(Problem):
    """A contract whose outcome is a number."""

    task: Literal["minutes"]


class OffsetPolicy(BaseModel):
    """Order the forecast plus an offset."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["offset"] = "offset"
    offset: float

    def apply(self, output):
        """Return what is ordered for each row, shape (n,)."""
        return output[:, 0] + self.offset


def _of_rows(label, loss):
    return Metric(
        label,
        False,
        lambda y, output, _: float(loss(y, output[:, 0]).mean()),
        lambda y, output, _, resamples: resample_mean(loss(y, output[:, 0]), resamples),
    )


METRICS = {
    "absolute_error": _of_rows("mean absolute error", lambda y, p: np.abs(y - p)),
    "squared_error": _of_rows("mean squared error", lambda y, p: (y - p) ** 2),
}


class ShopMean(DecisionTreeRegressor):
    """The current solution: the mean of the past of each shop, whatever other columns there are."""

    def fit(self, X, y):
        return super().fit(self._code(X), y)

    def predict(self, X):
        return super().predict(self._code(X))

    @staticmethod
    def _code(X):
        return np.array([[ord(str(shop)[0])] for shop in X["shop"]])


@dataclass(frozen=True)
class MinutesTask:
    """A task over one number."""

    problem: Problem
    output_columns: tuple[str, ...] = ("forecast",)
    decision_type: ColumnType = "float"
    decision_values: tuple[Any, ...] = ()
    output_series: tuple[OutputSeries, ...] = ()

    @property
    def metrics(self) -> Mapping[str, Metric]:
        return METRICS

    @property
    def primary(self) -> Metric:
        return METRICS[self.problem.metrics.primary]

    @property
    def default_policy(self):
        return OffsetPolicy(offset=0.0)

    @property
    def exploration(self) -> Any:
        def measure_association(codes, y, days, bins):
            rows = np.bincount(codes, minlength=bins)
            means = np.bincount(codes, weights=y, minlength=bins) / np.maximum(rows, 1)
            explained = float(np.sum(rows * (means - y.mean()) ** 2) / len(y))
            return Association(explained / float(y.var()) if y.var() else 0.0, float("nan"))

        return SimpleNamespace(
            FINDERS=(), SOLO_SCORE="none", SOLO_SCORE_MEANING="nothing", measure_association=measure_association
        )

    def outcome_sql(self):
        return f"CAST({self.problem.target.expression} AS DOUBLE)"

    def describe_outcomes(self, y):
        known = y[~np.isnan(y)]
        return Outcome(len(known), float(known.mean()) if len(known) else None, {})

    def find_outcome_faults(self, y):
        return [] if len(y) == 0 or np.ptp(y) > 0 else [f"must vary, but is {y[0]:g} in every row."]

    def default_parameters(self, family):
        return {"ridge": {"alpha": 1.0}, "tree": {"max_depth": 4}}[family].copy()

    def suggest_parameters(self, family, trial):
        if family == "ridge":
            return {"alpha": trial.suggest_float("alpha", 1e-3, 1e3, log=True)}
        return {"max_depth": trial.suggest_int("max_depth", 2, 8)}

    def build_candidate(self, family, features: Sequence[Any], parameters=None):
        chosen = self.default_parameters(family) | (parameters or {})
        kind = Ridge if family == "ridge" else DecisionTreeRegressor
        return build_pipeline(features, "indicators", lambda codes: kind(random_state=0, **chosen))

    def build_baselines(self):
        return {
            "current_solution": NamedEstimator(self.problem.baseline.name, ShopMean(max_leaf_nodes=4)),
            "dummy": NamedEstimator("mean", DummyRegressor()),
        }

    def describe_rule(self, estimator):
        shops = ["A", "B", "C", "None"]
        means = estimator.predict(pd.DataFrame({"shop": shops}))
        return {"means": dict(zip(shops, means.tolist(), strict=True))}

    def restore_rule(self, described):
        means = described["means"]
        return SimpleNamespace(predict=lambda rows: rows["shop"].map(lambda name: means[str(name)]).to_numpy())

    def predict(self, estimator, rows):
        return np.asarray(estimator.predict(rows), dtype=np.float64)[:, None]

    def fit_stacker(self, outputs, y):
        return LinearRegression().fit(outputs[:, :, 0], y)

    def stack(self, stacker, outputs):
        return self.predict(stacker, outputs[:, :, 0])

    def compile(self, estimator):
        raise CannotCompileError("a forecast of minutes has no compiled form")

    def combine(self, kind, members, stacker, X, y):
        if kind == "single":
            return next(iter(members.values()))
        # A linear stacking of two is a vote with weights; its constant belongs to the policy's offset.
        weights = None if kind == "voting" else stacker.coef_
        frozen = [(name, FrozenEstimator(member)) for name, member in members.items()]
        return VotingRegressor(frozen, weights=weights).fit(X.head(2), y.head(2))

    def find_stacker(self, estimator):
        return SimpleNamespace(coef_=estimator.weights)

    def calibrate(self, core, features, first, second):
        return core, {"method": "none", "reason": "A forecast is ordered with an offset; nothing is calibrated."}

    def replace_core(self, estimator, core):
        return core

    def row_loss(self, y, output):
        return np.abs(y - output[:, 0])

    def constant_loss(self, mean_outcomes):
        return np.zeros_like(mean_outcomes)

    def constant_decisions(self, rows):
        """Return the decision to order nothing."""
        return {"no order": np.zeros(rows)}

    def constant_output(self, y, rows):
        return np.full((rows, 1), float(np.median(y)))

    def find_qualified(self, y):
        return np.ones(len(y), dtype=bool)

    def rank_errors(self, y, output):
        errors = y - output[:, 0]
        return {"too_low": np.argsort(-errors), "too_high": np.argsort(errors)}

    def describe_contender(self, y, output, decided):
        return {"bias": float((output[:, 0] - y).mean())}

    def trace_policies(self, y, output, predicted_at):
        return tuple(
            {"offset": offset, "value": float(self.value(y, output[:, 0] + offset).mean())}
            for offset in (-1.0, 0.0, 1.0)
        )

    def show_in_kubeflow(self, predictions, artifact):
        """There is no curve of a number."""

    def fit_policy(self, y, output, predicted_at):
        offset = float(np.quantile(y - output[:, 0], SHORT / (SHORT + SURPLUS)))
        return PolicyChoice(OffsetPolicy(offset=offset), {"quantile": SHORT / (SHORT + SURPLUS)})

    def read_policy(self, described):
        return OffsetPolicy.model_validate(described)

    def operate(self, wanted, output, predicted_at, logged_ratio=1.0):
        return wanted

    def value(self, y, decisions):
        return -np.where(decisions < y, SHORT * (y - decisions), SURPLUS * (decisions - y))
