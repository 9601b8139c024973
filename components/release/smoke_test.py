"""Put a candidate behind its real endpoint, replay golden rows, and compare the answers with the offline model.

In: a version with its files and golden rows, and the host to try it on. Out: a `SmokeTest`: gates with their verdicts
and what was measured. Called by `deploy`; promotes nothing.

The expected answer has another source than the predictor's: the scikit-learn pipeline, not its compiled form, over the
online features of the same time.

The gate of the latency: `serving.p99_milliseconds` against the p99 of single V1 requests, seen from the client. A
machine that does other work only ever adds time, so a pass above the limit is repeated, and the best of `_PASSES`
counts. Outputs and decisions are compared over every pass.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.base.contract.problem import Problem
from components.base.errors import EndpointUnavailableError
from components.base.gate import Gate, limit_gate
from components.base.settings import Settings
from components.features.request import request_row
from components.models.artifact import Model
from components.release.golden_rows import (
    TOLERANCE,
    Expected,
    count_different_decisions,
    greatest_difference,
    measure_skew,
)
from components.release.record import Replay, SmokeTest
from components.serving.client import Answers, EndpointAddress, replay_v1, replay_v2
from components.serving.inference_service import ServedVersion
from components.serving.predictor.compiled.pipeline import pipeline_scorer
from components.serving.predictor.requests import RequestSchema, Row, request_rows

_PASSES = 3
# Caches of entity keys fill and connections open during the first requests.
_WARM_UP_ROWS = 20


@dataclass(frozen=True)
class _OfflineAnswers:
    expected: Expected
    served: pd.DataFrame
    """The online features of now, one row a golden row."""


@dataclass(frozen=True)
class _Passes:
    v1: tuple[Answers, ...]
    """One entry a pass."""
    v2: Answers

    def percentile(self, percent: float) -> float:
        """Milliseconds within which that share of the single V1 requests was answered, in the pass of the best p99."""
        best = min(self.v1, key=lambda answers: float(np.percentile(answers.milliseconds, 99)))
        return float(np.percentile(best.milliseconds, percent))

    def greatest_v1_difference(self, expected: Expected) -> float:
        """Greatest difference of two outputs in any V1 pass; NaN when one is."""
        return float(np.max([greatest_difference(answers, expected) for answers in self.v1]))

    def count_v1_decisions(self, expected: Expected) -> int:
        """Count the decisions that differ in all V1 passes together."""
        return sum(count_different_decisions(answers, expected) for answers in self.v1)


def run_smoke_test(
    candidate: ServedVersion,
    running: AbstractContextManager[Callable[[], str]],
    model: Model,
    golden: pd.DataFrame,
    settings: Settings,
) -> SmokeTest:
    """Start a candidate, replay the golden rows and pass the gates.

    Args:
        candidate: The version and its contract.
        running: As `ServingHost.try_candidate` returns it.
        model: The candidate's model, for the expected answers.
        golden: Request columns and features, a row each.
        settings: Of the online store.

    Raises:
        PermanentError: the online store was not filled, or the model cannot be read.
    """
    problem = candidate.problem
    schema = RequestSchema.of(problem)
    rows = request_rows(schema, golden)
    started = time.monotonic()
    try:
        with running as wait_ready:
            # The candidate starts meanwhile.
            offline = _answer_offline(problem, model, rows, settings)
            address = EndpointAddress(wait_ready(), candidate.endpoint, schema, model.task.output_columns)
            ready_seconds = time.monotonic() - started
            passes = _replay(address, rows, problem.serving.p99_milliseconds)
    except EndpointUnavailableError as error:
        return SmokeTest(gates=(limit_gate("answers", 1, 0, str(error)),))
    return SmokeTest(
        gates=build_gates(problem, passes, offline.expected),
        replay=_describe(passes, offline.expected, ready_seconds),
        skew=measure_skew(model.features, golden, offline.served),
    )


def _answer_offline(problem: Problem, model: Model, rows: Sequence[Row], settings: Settings) -> _OfflineAnswers:
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    from components.features.online.store import open_online_features

    requested = [{**row, **request_row(problem, row)} for row in rows]
    looked_up = open_online_features(problem, settings).read(requested)
    joined = [{**own, **found.values} for own, found in zip(requested, looked_up, strict=True)]
    features = [{name: row.get(name) for name in model.feature_names} for row in joined]
    # The other core is the starting candidate's.
    with threadpool_limits(limits=1):
        output = pipeline_scorer(model)(features)
    decisions = tuple(model.policy.apply(output).tolist())
    return _OfflineAnswers(Expected(output, decisions), pd.DataFrame(features, columns=model.feature_names))


def _replay(address: EndpointAddress, rows: Sequence[Row], p99_limit: float) -> _Passes:
    """Replay over both protocols; over V1 again while the machine is too busy for the limit."""
    replay_v1(address, rows[:_WARM_UP_ROWS])
    v2 = replay_v2(address, rows)
    passes = _Passes((replay_v1(address, rows),), v2)
    while len(passes.v1) < _PASSES and not passes.percentile(99) <= p99_limit:
        passes = _Passes((*passes.v1, replay_v1(address, rows)), v2)
    return passes


def build_gates(problem: Problem, passes: _Passes, expected: Expected) -> tuple[Gate, ...]:
    """Build the gates over outputs, decisions and latency of every pass."""
    v1, v2 = passes.greatest_v1_difference(expected), greatest_difference(passes.v2, expected)
    different = passes.count_v1_decisions(expected) + count_different_decisions(passes.v2, expected)
    p99, limit = passes.percentile(99), problem.serving.p99_milliseconds
    rows = len(expected.decisions)
    decisions = (len(passes.v1) + 1) * rows
    words = f"outputs of {rows} golden rows differ from the offline model by at most"
    return (
        limit_gate("v1_difference", v1, TOLERANCE, f"V1: {words} {v1:.1e} (limit {TOLERANCE:.0e})."),
        limit_gate("v2_difference", v2, TOLERANCE, f"V2: {words} {v2:.1e} (limit {TOLERANCE:.0e})."),
        limit_gate(
            "different_decisions", different, 0, f"{different} of {decisions} decisions differ from the offline model."
        ),
        limit_gate(
            "p99_milliseconds", p99, limit, f"99 of 100 single requests took at most {p99:.1f} ms (limit {limit:g})."
        ),
    )


def _describe(passes: _Passes, expected: Expected, ready_seconds: float) -> Replay:
    missing = Counter(name for names in passes.v1[0].missing for name in names)
    return Replay(
        rows=len(expected.decisions),
        v1_difference=passes.greatest_v1_difference(expected),
        v2_difference=greatest_difference(passes.v2, expected),
        different_decisions=passes.count_v1_decisions(expected),
        positive_decisions=sum(passes.v1[0].decisions),
        p50_milliseconds=passes.percentile(50),
        p99_milliseconds=passes.percentile(99),
        passes=len(passes.v1),
        ready_seconds=ready_seconds,
        missing_features=dict(sorted(missing.items())),
    )
