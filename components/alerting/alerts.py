"""Build the alerts of a problem from the files beside the runbooks, for Prometheus, Grafana and their tests.

In: the contract, and the pace of time. Out: `Alert`s with every placeholder filled and every threshold a number.
Called by `make generate`, by the simulation with its own pace, and by the lint.

An alert with `needs_rows` fires only with enough rows and a fresh monitoring result: an old value triggers nothing.
MonitoringStale reports the old result; it never retrains.

Burn rates: an objective of 99.9 % leaves an error budget of 0.1 % of the requests of 30 days; a burn rate of 1 uses it
up in exactly that time. A rule needs the rate in a long window, which shows that it matters, and in a short one, which
shows that it still goes on. Source: Beyer et al., The Site Reliability Workbook (2018), chapter 5, table 5-8.
"""

import math
import re
from collections.abc import Callable, Mapping
from string import Template

from components.alerting.alert_file import (
    AlertFile,
    Budget,
    BurnWindow,
    CaseFile,
    CounterRise,
    read_alert_files,
    read_duration,
)
from components.alerting.promql import LAST_MONITORING, greatest, select
from components.alerting.types import (
    HOUR,
    MINUTE,
    PRODUCTION,
    Alert,
    Case,
    Limit,
    Operator,
    Pace,
    Series,
    write_duration,
    write_threshold,
)
from components.base.contract.limits import read_field
from components.base.contract.problem import Problem
from components.base.errors import PermanentError, TidemillError, raise_faults, suggest_name
from components.base.expressions import evaluate, list_names
from components.base.schedule import find_longest_gap

# A monitoring result counts until two runs are lost: then its numbers describe another day.
RESULT_LIFETIME = "2 * longest_gap(monitoring.schedule)"
# Ignore one or two errors: a window must hold enough requests that the limit means at least three errors.
_FEWEST_BAD = 3
# A low objective makes a burn rate of 14.4 impossible (at 90 % it needs 144 % errors): then half of all is bad enough.
_WORST_RATIO = 0.5
_EVALUATED_AT = 15 * MINUTE
_RANGE = re.compile(r"\[(\d+[smhd])\]")


class _Placeholders(Template):
    """`$problem`, or a field of the contract such as `${business.currency}`."""

    braceidpattern = r"[a-z][a-z0-9_.]*"


def list_alerts(problem: Problem, pace: Pace = PRODUCTION) -> list[Alert]:
    """Return every alert of a problem, sorted by name.

    Raises:
        PermanentError: an alert file has faults, or names what the contract does not have; all faults are named.
    """
    alerts, faults = [], []
    for name, rules in read_alert_files().items():
        for rule in rules:
            of_sources = [{**rule.labels, "source": source} for source in problem.sources]
            try:
                for labels in of_sources if rule.each else [rule.labels]:
                    if built := _Builder(problem, name, rule, pace, labels).build():
                        alerts.append(built)
            except (TidemillError, ValueError, TypeError) as error:
                faults.append(f"{name}.yaml: {error}")
    raise_faults(PermanentError, f"alerts of {problem.name}", faults)
    return alerts


class _Builder:
    """Builds one rule: holds what every part of it needs."""

    def __init__(self, problem: Problem, name: str, rule: AlertFile, pace: Pace, labels: Mapping[str, str]) -> None:
        self._problem, self._name, self._rule, self._pace, self._labels = problem, name, rule, pace, labels
        self._texts = {
            "problem": problem.name,
            # Prometheus writes the edge of a bucket in seconds.
            "p99_seconds": repr(problem.serving.p99_milliseconds / 1000),
            **({"rate": write_threshold(rule.window.rate)} if rule.window else {}),
            **labels,
        }

    def build(self) -> Alert | None:
        """Return the rule; None if the contract does not set its threshold."""
        rule, problem = self._rule, self._problem.name
        if rule.budget and rule.window:
            return self._build_burn(rule.budget, rule.window)
        expression = self._fill(str(rule.below if rule.above is None else rule.above))
        fields = {name: read_field(self._problem, name) for name in list_names(expression)}
        if None in fields.values():
            return None
        threshold = self._evaluate(expression)
        operator: Operator = "<" if rule.above is None else ">"
        window = self._pace.window
        query = _RANGE.sub(
            lambda found: f"[{write_duration(window(read_duration(found[1])))}]", self._fill(rule.query or "")
        )
        named = [*fields, *rule.fields]
        if rule.needs_rows is None:
            cases = [self._build_case(case, threshold) for case in rule.cases]
            return self._assemble(query, operator, threshold, named, cases)
        minimum, fresh = self._problem.monitoring.minimum_rows, write_threshold(self._evaluate(RESULT_LIFETIME))
        rows = greatest(select(rule.needs_rows, problem=problem))
        age = f"time() - {greatest(select(LAST_MONITORING, problem=problem))}"
        query = f"{query} and on (problem) ({rows} >= {minimum}) and on (problem) ({age} < {fresh})"
        cases = self._build_row_cases(rule.needs_rows, threshold, operator)
        return self._assemble(query, operator, threshold, [*named, "monitoring.minimum_rows"], cases)

    def _assemble(
        self, query: str, operator: Operator, threshold: float, fields: list[str], cases: list[Case]
    ) -> Alert:
        rule, problem = self._rule, self._problem
        for field in fields:
            read_field(problem, field)
        notices_absence = any(case.fires and not case.series for case in cases)
        hold = self._pace.hold_absent if notices_absence else self._pace.hold
        wait = read_duration(rule.for_)
        return Alert(
            name=self._name,
            query=query,
            operator=operator,
            threshold=threshold,
            limit=Limit(tuple(fields), self._fill(rule.reason)),
            wait_seconds=hold(wait) if wait else 0,
            severity=rule.severity,
            action="retrain" if self._name in problem.retraining.alerts else "none",
            summary=f"{problem.name}: {self._fill(rule.summary)}",
            description=self._fill(rule.description),
            dashboard=rule.dashboard,
            problem=problem.name,
            labels=self._labels,
            cases=tuple(cases),
        )

    def _fill(self, text: str, **more: str) -> str:
        """Replace the placeholders of a text."""
        known, template = {**self._texts, **more}, _Placeholders(text)
        values = {}
        for name in template.get_identifiers():
            if name not in known and "." not in name:
                raise ValueError(
                    f"placeholder ${name} must be one of {', '.join(known)}, but is not.{suggest_name(name, known)}"
                )
            values[name] = known[name] if name in known else read_field(self._problem, name)
        return template.substitute(values)

    def _evaluate(self, expression: str) -> float:
        """Return the number of an expression over fields of the contract; durations become those of the pace."""
        values = {name: read_field(self._problem, name) for name in list_names(expression)}
        scaled = self._pace.scaled
        functions: dict[str, Callable[..., float]] = {
            "hours": lambda hours: scaled(hours * HOUR),
            # The run measures the age of data on the clock of the data, also in a simulation.
            "data_hours": lambda hours: hours * HOUR,
            "longest_gap": lambda schedule: scaled(find_longest_gap(schedule).total_seconds()),
            "max": max,
        }
        number = evaluate(expression, values, functions)
        return number if expression in values else round(number, 3)

    def _build_case(self, case: CaseFile, threshold: float) -> Case:
        at = read_duration(case.at)
        values = {"threshold": threshold, "now": at}
        series = {
            self._fill(selector): Series(0, value.per_minute)
            if isinstance(value, CounterRise)
            else Series(evaluate(str(value), values, {}))
            for selector, value in case.series.items()
        }
        return Case(case.name, case.fires, series, at)

    def _build_row_cases(self, needs_rows: str, threshold: float, operator: Operator) -> list[Case]:
        step = 0.02 * abs(threshold) or 0.02
        beyond = threshold + (step if operator == ">" else -step)
        minimum, lifetime = self._problem.monitoring.minimum_rows, self._evaluate(RESULT_LIFETIME)
        example = self._fill(self._rule.example or "")

        def world(value: float, rows: float = minimum, age: float = MINUTE) -> dict[str, Series]:
            return {
                example: Series(value),
                select(needs_rows, problem=self._problem.name): Series(rows),
                select(LAST_MONITORING, problem=self._problem.name): Series(_EVALUATED_AT - age),
            }

        return [
            Case("is just beyond the limit", True, world(beyond), _EVALUATED_AT),
            Case("is at the limit", False, world(threshold), _EVALUATED_AT),
            Case("is beyond the limit in too few rows", False, world(beyond, rows=minimum - 1), _EVALUATED_AT),
            Case(
                "is beyond the limit in an old result",
                False,
                world(beyond, age=lifetime + _EVALUATED_AT),
                _EVALUATED_AT,
            ),
        ]

    def _build_burn(self, budget: Budget, window: BurnWindow) -> Alert:
        # Without rounding, 1 - 0.999 is 0.0010000000000000009 in every rule.
        share = max(round(1 - float(read_field(self._problem, budget.objective)), 12), 1e-12)
        threshold = min(window.rate, _WORST_RATIO / share)
        fewest = math.ceil(_FEWEST_BAD / (threshold * share))
        # The long window is at least three times the short one, also when a simulation shortens both.
        long = write_duration(self._pace.window(read_duration(window.long), 3))
        short = write_duration(self._pace.window(read_duration(window.short)))
        slow, quick = (f"({self._fill(budget.bad_ratio, range=it)}) / {write_threshold(share)}" for it in (long, short))
        requests = self._fill(budget.requests, range=long)
        # The smaller of both rates; empty where there is no traffic now, so that the alert ends with the trouble.
        query = f"(({slow}) < ({quick}) or ({quick})) and on (problem) ({requests} >= {fewest})"

        def world(per_minute: float, bad: float) -> dict[str, Series]:
            values = {"requests": per_minute, "bad": bad}
            return {self._fill(one): Series(0, evaluate(str(it), values, {})) for one, it in budget.series.items()}

        # One hour of steady traffic each: rates over longer windows are the same, and the hour holds enough.
        enough, limit = 2 * fewest / 60, threshold * share
        cases = [
            Case("burns just too fast", True, world(enough, 1.02 * limit), HOUR),
            Case("burns just slowly enough", False, world(enough, 0.98 * limit), HOUR),
            Case("has no bad request", False, world(enough, 0), HOUR),
            Case("is bad in too few requests", False, world(0.4 * fewest / 60, 1.5 * limit), HOUR),
        ]
        return self._assemble(query, ">", threshold, [budget.objective, *self._rule.fields], cases)
