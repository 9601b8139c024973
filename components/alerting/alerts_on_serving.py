"""Alerts on the endpoint: is it there, does it keep its objectives, does it record what it serves.

In: the contract, and the pace of time. Out: `Alert`s. Called by `alerts.list_alerts`.

Burn rates: an objective of 99.9 % leaves an error budget of 0.1 % of the requests of 30 days; a burn rate of 1 spends
it in just that time. An alert needs the rate in a long window, so that it matters, and in a short one, so that it
still goes on. Source: Beyer et al., The Site Reliability Workbook (2018), chapter 5, table 5-8.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from components.alerting.promql import PREDICTOR_JOB, constant_for, increase, rate, select
from components.alerting.types import DAY, HOUR, MINUTE, Alert, Case, Limit, Pace, Series, Severity, write_threshold
from components.base.contract.problem import Problem

# One or two bad answers are an accident: the windows must hold so many requests that it takes three to reach the limit.
_FEWEST_BAD = 3
# A lax objective makes a burn rate of 14.4 impossible (it needs 144 % errors at 90 %): then half of all is bad enough.
_WORST_RATIO = 0.5
# A restart of a pod, with its model, takes about half of it.
_DOWN_SECONDS = 2 * MINUTE
# Long enough for a ticket to be seen in the list of alerts after a burst.
_DROP_WINDOW_SECONDS = 15 * MINUTE
_REQUESTS = "tidemill_predictor_requests_total"
_SECONDS = "tidemill_predictor_request_seconds"


@dataclass(frozen=True)
class _Burn:
    """One row of the workbook's table."""

    rate: float
    long_seconds: float
    short_seconds: float
    severity: Severity
    window: str


_BURNS = (
    _Burn(14.4, HOUR, 5 * MINUTE, "page", "1h"),
    _Burn(6.0, 6 * HOUR, 30 * MINUTE, "page", "6h"),
    _Burn(1.0, 3 * DAY, 6 * HOUR, "ticket", "3d"),
)


@dataclass(frozen=True)
class _Objective:
    """What is burnt: the share of bad requests, and what the world looks like when it is bad or good."""

    name: str
    meaning: str
    budget: float
    fields: tuple[str, ...]
    bad: str
    ratio: Callable[[float], str]
    """Bad among all requests in a window of so many seconds."""
    requests: Callable[[float], str]
    world: Callable[[float, float], dict[str, Series]]
    """Series of so many requests a minute, of which a share is bad."""


def list_serving_alerts(problem: Problem, pace: Pace) -> list[Alert]:
    """Return the alerts on the endpoint."""
    objectives = (_errors(problem), _latency(problem))
    burns = [_burn_alert(problem, objective, burn, pace) for objective in objectives for burn in _BURNS]
    return [_endpoint_down(problem, pace), *burns, _log_dropping(problem, pace)]


def _endpoint_down(problem: Problem, pace: Pace) -> Alert:
    target = select("up", job=PREDICTOR_JOB, problem=problem.name)
    replicas = problem.serving.minimum_replicas
    return Alert(
        name="EndpointDown",
        meaning="Fewer replicas of the endpoint answer than the contract asks for.",
        query=f"sum by (problem) ({target}) or {constant_for(problem.name, '0')}",
        operator="<",
        threshold=replicas,
        limit=Limit(("serving.minimum_replicas",), "as many replicas as the contract asks for"),
        wait_seconds=pace.hold_absent(_DOWN_SECONDS),
        severity="page",
        action="none",
        summary=f"{problem.name}: only {{count}} replicas of the endpoint answer",
        description="Requests fail or wait. Retraining does not help.",
        dashboard="serving",
        problem=problem.name,
        cases=(
            Case("no replica answers", True, {target: Series(replicas - 1)}, 5 * MINUTE),
            Case("nothing is scraped at all", True, {}, 5 * MINUTE),
            Case("all replicas answer", False, {target: Series(replicas)}, 5 * MINUTE),
        ),
    )


def _errors(problem: Problem) -> _Objective:
    every = select(_REQUESTS, problem=problem.name)
    bad = f'{_REQUESTS}{{problem="{problem.name}",code=~"5.."}}'

    def world(per_minute: float, share: float) -> dict[str, Series]:
        series = {"200": 1 - share, "503": share}
        return {
            select(_REQUESTS, problem=problem.name, protocol="v1", code=code): Series(0, per_minute * part)
            for code, part in series.items()
        }

    return _Objective(
        name="ErrorBudgetBurn",
        meaning="Server errors use up the month's error budget too fast.",
        budget=_budget(problem.monitoring.objectives.availability),
        fields=("monitoring.objectives.availability",),
        bad="end with a server error",
        ratio=lambda seconds: f"{rate(bad, seconds)} / {rate(every, seconds)}",
        requests=lambda seconds: increase(every, seconds),
        world=world,
    )


def _latency(problem: Problem) -> _Objective:
    edge = repr(problem.serving.p99_milliseconds / 1000)
    fast = select(f"{_SECONDS}_bucket", problem=problem.name, le=edge)
    every = select(f"{_SECONDS}_count", problem=problem.name)

    def world(per_minute: float, share: float) -> dict[str, Series]:
        return {fast: Series(0, per_minute * (1 - share)), every: Series(0, per_minute)}

    return _Objective(
        name="LatencyBudgetBurn",
        meaning="Slow answers use up the month's latency budget too fast.",
        budget=_budget(problem.monitoring.objectives.latency),
        fields=("monitoring.objectives.latency", "serving.p99_milliseconds"),
        bad="take longer than the contract's serving.p99_milliseconds",
        ratio=lambda seconds: f"1 - {rate(fast, seconds)} / {rate(every, seconds)}",
        requests=lambda seconds: increase(every, seconds),
        world=world,
    )


def _budget(objective: float) -> float:
    # Without rounding, 1 - 0.999 is 0.0010000000000000009 in every rule.
    return max(round(1 - objective, 12), 1e-12)


def _burn_alert(problem: Problem, objective: _Objective, burn: _Burn, pace: Pace) -> Alert:
    threshold = min(burn.rate, _WORST_RATIO / objective.budget)
    requests = math.ceil(_FEWEST_BAD / (threshold * objective.budget))
    # The long window is three times the short one at least, also when a replay scales both away.
    long, short = pace.window(burn.long_seconds, 3), pace.window(burn.short_seconds)
    budget = write_threshold(objective.budget)
    slow, quick = f"({objective.ratio(long)}) / {budget}", f"({objective.ratio(short)}) / {budget}"
    # The lesser of both rates: nothing where there is no traffic now, so that what is over fires no more.
    query = f"(({slow}) < ({quick}) or ({quick})) and on (problem) ({objective.requests(long)} >= {requests})"
    return Alert(
        name=objective.name,
        meaning=objective.meaning,
        query=query,
        operator=">",
        threshold=threshold,
        limit=Limit(
            objective.fields,
            f"a burn rate of {write_threshold(burn.rate)} over {burn.window}: table 5-8 of the SRE workbook",
        ),
        # The short window is the patience: it holds for as long as that already.
        wait_seconds=0,
        severity=burn.severity,
        action="none",
        summary=f"{problem.name}: over {burn.window}, {{multiple}} times too many requests {objective.bad}",
        description="At this rate the budget of 30 days does not last.",
        dashboard="serving",
        problem=problem.name,
        labels={"window": burn.window},
        cases=_burn_cases(objective, threshold, requests),
    )


def _burn_cases(objective: _Objective, threshold: float, requests: int) -> tuple[Case, ...]:
    """Return one hour of steady traffic each: rates over longer windows are the same, and the hour holds enough."""
    at, limit = HOUR, threshold * objective.budget
    enough = 2 * requests / 60
    return (
        Case("burns just too fast", True, objective.world(enough, 1.02 * limit), at),
        Case("burns just slowly enough", False, objective.world(enough, 0.98 * limit), at),
        Case("has no bad request", False, objective.world(enough, 0), at),
        Case("is bad, with too few requests to say so", False, objective.world(0.4 * requests / 60, 1.5 * limit), at),
    )


def _log_dropping(problem: Problem, pace: Pace) -> Alert:
    dropped = select("tidemill_prediction_log_rows_total", problem=problem.name, outcome="dropped")
    stored = select("tidemill_prediction_log_rows_total", problem=problem.name, outcome="stored")
    return Alert(
        name="PredictionLogDropping",
        meaning="Predictions are served without being recorded.",
        query=increase(dropped, pace.window(_DROP_WINDOW_SECONDS)),
        operator=">",
        threshold=0,
        limit=Limit((), "a row that was dropped cannot be had again, so that each one counts"),
        wait_seconds=0,
        severity="ticket",
        action="none",
        summary=f"{problem.name}: {{count}} predictions were not recorded",
        description="Drift, performance and value of that time rest on the rows that are left.",
        dashboard="serving",
        problem=problem.name,
        cases=(
            Case("drops rows", True, {dropped: Series(0, 0.05), stored: Series(0, 100)}, 20 * MINUTE),
            Case("drops nothing", False, {dropped: Series(0), stored: Series(0, 100)}, 20 * MINUTE),
            Case("dropped long ago", False, {dropped: Series(7), stored: Series(0, 100)}, 20 * MINUTE),
        ),
    )
