"""Put a candidate behind its real endpoint, replay golden rows, and compare the answers with the offline model.

In: a version with its files and golden rows, and the host to try it on. Out: a `SmokeTest`: gates with their verdicts
and what was measured. Called by `deploy`; promotes nothing.

The expected answer has another source than the predictor's: the scikit-learn pipeline, not its compiled form, over the
online features of the same time. That these features are those of training, and are there, is judged on the newest
requests (`served_features`).

The gate of the latency: `serving.p99_milliseconds` against the p99 of single V1 requests, seen from the client, without
the time for which other programs had the processors: it is no property of the candidate. What other work costs beside
that, in caches and on disks, only ever adds time, so a pass above the limit is repeated, and the best of `_PASSES`
counts. Outputs and decisions are compared over every pass.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.base.contract.problem import Problem
from components.base.dataset import Feature
from components.base.errors import EndpointUnavailableError
from components.base.gate import Gate, limit_gate
from components.base.settings import Settings
from components.base.tables import read_table
from components.features.explore.profile import Profile, read_profile
from components.features.request import request_row
from components.models.artifact import Model
from components.release.golden_rows import TOLERANCE, Expected, count_different_decisions, greatest_difference
from components.release.record import FeatureDifference, Replay, SmokeTest
from components.release.served_features import compare_features, judge_features, not_judged
from components.serving.client import Answers, EndpointAddress, Target, replay_v1, replay_v2
from components.serving.inference_service import ServedVersion
from components.serving.predictor.compiled.pipeline import pipeline_scorer
from components.serving.predictor.requests import RequestSchema, Row, request_rows

if TYPE_CHECKING:
    from components.features.online.reader import OnlineFeatures, ServedFeatures

_PASSES = 3
# A wait that adds more than this share is worth a word.
_BUSY = 0.1
# Caches of entity keys fill and connections open during the first requests.
_WARM_UP_ROWS = 20


@dataclass(frozen=True)
class TrialRows:
    """The requests that a candidate is tried on."""

    golden: pd.DataFrame
    """Request columns of rows of the test period."""
    newest: pd.DataFrame | None
    """Request columns of the newest rows, with the features that training would have got at `predicted_at`; None for
    a version of an older platform."""
    profile: Profile
    """Of the training rows."""


def read_trial_rows(release_folder: Path, model_folder: Path) -> TrialRows:
    """Read what `register` kept of a version."""
    newest = release_folder / "newest.parquet"
    return TrialRows(
        golden=read_table(release_folder / "golden.parquet"),
        newest=read_table(newest) if newest.is_file() else None,
        profile=read_profile(model_folder / "profile.json"),
    )


@dataclass(frozen=True)
class _Passes:
    v1: tuple[Answers, ...]
    """One entry a pass."""
    v2: Answers

    @property
    def best(self) -> Answers:
        """The V1 pass of the best p99."""
        return min(self.v1, key=lambda answers: float(np.percentile(_own_milliseconds(answers), 99)))

    def percentile(self, percent: float) -> float:
        """Milliseconds within which that share of the best pass was answered, without the wait for a processor."""
        return float(np.percentile(_own_milliseconds(self.best), percent))

    @property
    def p99_on_clock(self) -> float:
        """The p99 of the best pass with that wait."""
        return float(np.percentile(self.best.milliseconds, 99))

    def greatest_v1_difference(self, expected: Expected) -> float:
        """Greatest difference of two outputs in any V1 pass; NaN when one is."""
        return float(np.max([greatest_difference(answers, expected) for answers in self.v1]))

    def count_v1_decisions(self, expected: Expected) -> int:
        """Count the decisions that differ in all V1 passes together."""
        return sum(count_different_decisions(answers, expected) for answers in self.v1)


def _own_milliseconds(answers: Answers) -> NDArray[np.float64]:
    return answers.milliseconds - answers.waited_milliseconds


def run_smoke_test(
    candidate: ServedVersion,
    running: AbstractContextManager[Callable[[], Target]],
    model: Model,
    trial: TrialRows,
    settings: Settings,
) -> SmokeTest:
    """Start a candidate, replay the golden rows and pass the gates.

    Args:
        candidate: The version and its contract.
        running: As `ServingHost.try_candidate` returns it.
        model: The candidate's model, for the expected answers.
        trial: What it is tried on.
        settings: Of the online store.

    Raises:
        PermanentError: the online store was not filled, or the model cannot be read.
    """
    from components.features.online.store import open_online_features

    problem = candidate.problem
    schema = RequestSchema.of(problem)
    rows = request_rows(schema, trial.golden)
    started = time.monotonic()
    try:
        with running as wait_ready:
            # The candidate starts meanwhile.
            online = open_online_features(problem, settings)
            expected = _answer_offline(problem, model, rows, online)
            skew, feature_gates = judge_newest(problem, model.features, trial, online, settings)
            address = EndpointAddress(wait_ready(), candidate.endpoint, schema, model.task.output_columns)
            ready_seconds = time.monotonic() - started
            passes = _replay(address, rows, problem.serving.p99_milliseconds)
    except EndpointUnavailableError as error:
        return SmokeTest(gates=(limit_gate("answers", 1, 0, str(error)),))
    return SmokeTest(
        gates=(*build_gates(problem, passes, expected), *feature_gates),
        replay=_describe(passes, expected, ready_seconds),
        skew=skew,
    )


def judge_newest(
    problem: Problem, features: Sequence[Feature], trial: TrialRows, online: "OnlineFeatures", settings: Settings
) -> tuple[tuple[FeatureDifference, ...], tuple[Gate, ...]]:
    """Compare what is served for the newest requests with what training would have got; return it with its gates."""
    from components.features.online.store import open_online_store

    if trial.newest is None:
        return (), not_judged("an older platform registered this version")
    requested, found = _serve_features(problem, request_rows(RequestSchema.of(problem), trial.newest), online)
    compared = compare_features(features, trial.newest, requested, found, trial.profile)
    held, wanted = open_online_store(settings).held_as_of(problem.name), trial.newest["predicted_at"].max()
    return compared, judge_features(compared, problem.monitoring.quality, held, wanted)


def _serve_features(
    problem: Problem, rows: Sequence[Row], online: "OnlineFeatures"
) -> tuple[list[dict[str, Any]], list["ServedFeatures"]]:
    """Compute and look up the features of requests by the code of the predictor."""
    own = [request_row(problem, row) for row in rows]
    return [dict(one) for one in own], online.read([{**row, **one} for row, one in zip(rows, own, strict=True)])


def _answer_offline(problem: Problem, model: Model, rows: Sequence[Row], online: "OnlineFeatures") -> Expected:
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    requested, found = _serve_features(problem, rows, online)
    joined = [{**row, **own, **one.values} for row, own, one in zip(rows, requested, found, strict=True)]
    features = [{name: row.get(name) for name in model.feature_names} for row in joined]
    # The other core is the starting candidate's.
    with threadpool_limits(limits=1):
        output = pipeline_scorer(model)(features)
    return Expected(output, tuple(model.policy.apply(output).tolist()))


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
    latency = f"{p99:.1f} ms"
    if not np.isclose(passes.p99_on_clock, p99, rtol=_BUSY):
        latency = f"{latency}, with the wait for a processor {passes.p99_on_clock:.1f} ms"
    words = f"outputs of {rows} golden rows differ from the offline model by at most"
    return (
        limit_gate("v1_difference", v1, TOLERANCE, f"V1: {words} {v1:.1e} (limit {TOLERANCE:.0e})."),
        limit_gate("v2_difference", v2, TOLERANCE, f"V2: {words} {v2:.1e} (limit {TOLERANCE:.0e})."),
        limit_gate(
            "different_decisions", different, 0, f"{different} of {decisions} decisions differ from the offline model."
        ),
        limit_gate(
            "p99_milliseconds", p99, limit, f"99 of 100 single requests took at most {latency} (limit {limit:g})."
        ),
    )


def _describe(passes: _Passes, expected: Expected, ready_seconds: float) -> Replay:
    missing = Counter(name for names in passes.v1[0].missing for name in names)
    return Replay(
        rows=len(expected.decisions),
        v1_difference=passes.greatest_v1_difference(expected),
        v2_difference=greatest_difference(passes.v2, expected),
        different_decisions=passes.count_v1_decisions(expected),
        positive_decisions=sum(map(bool, passes.v1[0].decisions)),
        p50_milliseconds=passes.percentile(50),
        p99_milliseconds=passes.percentile(99),
        p99_on_clock_milliseconds=passes.p99_on_clock,
        passes=len(passes.v1),
        ready_seconds=ready_seconds,
        missing_features=dict(sorted(missing.items())),
    )
