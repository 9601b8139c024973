"""Put a model behind its real endpoint, replay golden rows, and judge the answers.

In come the files of a version and its golden rows, out goes a `Trial`: gates with their verdicts and what was measured.
Called by `deploy`; promotes nothing.

What each answer should be comes another way than the predictor's: from the scikit-learn pipeline, not its compiled
form, over the online features of this moment.

The clock's gate: `serving.p99_milliseconds` against the p99 of single V1 requests, seen from the client. A machine that
does other work only ever adds time, so a pass above the limit is repeated, and the best of `_PASSES` counts.
Probabilities and decisions are judged over every pass.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components.base.adapters.mlflow import ChampionFiles
from components.base.contract.problem import Problem
from components.base.errors import EndpointUnavailableError
from components.base.settings import Settings
from components.features.request import request_row
from components.models.artifact import load_model
from components.release.golden_rows import (
    TOLERANCE,
    Expected,
    count_different_decisions,
    greatest_difference,
    measure_skew,
)
from components.serving.client import Answers, Target, replay_v1, replay_v2
from components.serving.endpoint import Launch, PredictorProcess
from components.serving.predictor.compiled.pipeline import decide
from components.serving.predictor.model import score_with_pipeline
from components.serving.predictor.requests import RequestSchema, Row, request_rows

_PASSES = 3
# Caches of entity keys fill and connections open during the first requests.
_WARM_UP_ROWS = 20


@dataclass(frozen=True)
class Gate:
    """One condition of a promotion."""

    name: str
    value: float
    limit: float
    """The greatest value that passes."""
    reason: str
    """A sentence with value and limit."""

    @property
    def passed(self) -> bool:
        """Tell whether the value keeps the limit."""
        return self.value <= self.limit


@dataclass(frozen=True)
class Trial:
    """What came of trying one version."""

    gates: tuple[Gate, ...]
    replay: dict[str, Any] | None
    """What was measured; None when the endpoint did not answer."""
    skew: list[dict[str, Any]]


@dataclass(frozen=True)
class _Reference:
    expected: Expected
    served: pd.DataFrame
    """The online features of this moment, one row a golden row."""


@dataclass(frozen=True)
class _Replay:
    v1: tuple[Answers, ...]
    """One entry a pass."""
    v2: Answers
    ready_seconds: float

    def percentile(self, percent: float) -> float:
        """Milliseconds within which that share of the single V1 requests was answered, in the pass of the best p99."""
        best = min(self.v1, key=lambda answers: float(np.percentile(answers.milliseconds, 99)))
        return float(np.percentile(best.milliseconds, percent))

    def greatest_v1_difference(self, expected: Expected) -> float:
        """Greatest difference of two probabilities in any V1 pass; NaN when one is."""
        return float(np.max([greatest_difference(answers, expected) for answers in self.v1]))

    def count_v1_decisions(self, expected: Expected) -> int:
        """Count the decisions that differ in all V1 passes together."""
        return sum(count_different_decisions(answers, expected) for answers in self.v1)


def try_endpoint(files: ChampionFiles, golden: pd.DataFrame, log_path: Path, settings: Settings) -> Trial:
    """Start the predictor of a version, replay the golden rows and judge the answers.

    Raises:
        PermanentError: the online store was not filled, or the model cannot be read.
    """
    problem = files.problem
    rows = request_rows(RequestSchema.of(problem), golden)
    launch = Launch(files.model_folder, files.version, problem.serving.endpoint, log_path, is_trial=True)
    try:
        with PredictorProcess(launch, settings) as predictor:
            # The predictor starts meanwhile.
            reference = _look_up(problem, files.model_folder, rows, settings)
            url, ready_seconds = predictor.wait_ready()
            target = Target(url, problem.serving.endpoint, RequestSchema.of(problem))
            replay = _replay(target, rows, ready_seconds, problem.serving.p99_milliseconds)
    except EndpointUnavailableError as error:
        return Trial((Gate("answers", 1, 0, str(error)),), None, [])
    return Trial(
        gates=_judge(problem, replay, reference.expected),
        replay=_describe(replay, reference.expected),
        skew=measure_skew(load_model(files.model_folder).features, golden, reference.served),
    )


def _look_up(problem: Problem, model_folder: Path, rows: Sequence[Row], settings: Settings) -> _Reference:
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    from components.features.online.store import open_online_features

    model = load_model(model_folder)
    requested = [{**row, **request_row(problem, row)} for row in rows]
    looked_up = open_online_features(problem, settings).read(requested)
    joined = [{**own, **found.values} for own, found in zip(requested, looked_up, strict=True)]
    features = [{name: row.get(name) for name in model.feature_names} for row in joined]
    # The predictor starts on the other core meanwhile.
    with threadpool_limits(limits=1):
        probabilities = score_with_pipeline(model, features)
    decisions = tuple(decide(probabilities, model.threshold).tolist())
    return _Reference(Expected(probabilities, decisions), pd.DataFrame(features, columns=model.feature_names))


def _replay(target: Target, rows: Sequence[Row], ready_seconds: float, p99_limit: float) -> _Replay:
    """Replay over both protocols; over V1 again while the machine is too busy for the limit."""
    replay_v1(target, rows[:_WARM_UP_ROWS])
    v2 = replay_v2(target, rows)
    replay = _Replay((replay_v1(target, rows),), v2, ready_seconds)
    while len(replay.v1) < _PASSES and not replay.percentile(99) <= p99_limit:
        replay = _Replay((*replay.v1, replay_v1(target, rows)), v2, ready_seconds)
    return replay


def _judge(problem: Problem, replay: _Replay, expected: Expected) -> tuple[Gate, ...]:
    v1, v2 = replay.greatest_v1_difference(expected), greatest_difference(replay.v2, expected)
    different = replay.count_v1_decisions(expected) + count_different_decisions(replay.v2, expected)
    p99, limit = replay.percentile(99), problem.serving.p99_milliseconds
    rows = len(expected.decisions)
    decisions = (len(replay.v1) + 1) * rows
    words = f"probabilities of {rows} golden rows differ from the offline model by at most"
    return (
        Gate("v1_difference", v1, TOLERANCE, f"V1: {words} {v1:.1e} (limit {TOLERANCE:.0e})."),
        Gate("v2_difference", v2, TOLERANCE, f"V2: {words} {v2:.1e} (limit {TOLERANCE:.0e})."),
        Gate(
            "different_decisions", different, 0, f"{different} of {decisions} decisions differ from the offline model."
        ),
        Gate("p99_milliseconds", p99, limit, f"99 of 100 single requests took at most {p99:.1f} ms (limit {limit:g})."),
    )


def _describe(replay: _Replay, expected: Expected) -> dict[str, Any]:
    missing = Counter(name for names in replay.v1[0].missing for name in names)
    return {
        "rows": len(expected.decisions),
        "v1_difference": replay.greatest_v1_difference(expected),
        "v2_difference": greatest_difference(replay.v2, expected),
        "different_decisions": replay.count_v1_decisions(expected),
        "positive_decisions": sum(replay.v1[0].decisions),
        "p50_milliseconds": replay.percentile(50),
        "p99_milliseconds": replay.percentile(99),
        "passes": len(replay.v1),
        "ready_seconds": replay.ready_seconds,
        "missing_features": dict(sorted(missing.items())),
    }
