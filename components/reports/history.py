"""The monitoring results of one problem in order, with the contract and the governor's rulings.

In: results and rulings in any order. Out: a `History`: the newest result, the one before, the trend of any number,
and the windows that do not overlap. Called by the reports; judges and draws nothing.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from components.base.contract.problem import Problem
from components.base.task import Task
from components.base.text.wording import write_date
from components.governor.rulings import RulingRecord
from components.monitoring.results import Estimate, MonitoringResult, Window, WindowFinding

Read = Callable[[MonitoringResult], float | None]


@dataclass(frozen=True)
class History:
    """The content of a report, before it is formatted."""

    task: Task
    results: Sequence[MonitoringResult]
    """The oldest first, at least one."""
    rulings: Sequence[RulingRecord] = ()
    """On the problem's episodes, the newest first; without episodes that wait for their first ruling."""

    @property
    def problem(self) -> Problem:
        """The contract."""
        return self.task.problem

    @property
    def newest(self) -> MonitoringResult:
        """The window that the report is about."""
        return self.results[-1]

    @property
    def previous(self) -> MonitoringResult | None:
        """The result before, if there is one."""
        return self.results[-2] if len(self.results) > 1 else None

    @property
    def currency(self) -> str:
        """The contract's currency."""
        return self.problem.business.currency

    def trend(self, read: Read) -> list[float | None]:
        """Return one number of every window, the oldest first."""
        return [read(result) for result in self.results]

    def find_before(self, read: Read) -> tuple[MonitoringResult, float] | None:
        """Return the last result before the newest in which a number is known, with that number."""
        known = ((result, read(result)) for result in reversed(self.results[:-1]))
        return next(((result, number) for result, number in known if number is not None), None)

    def format_change(self, read: Read, write: Callable[[float], str]) -> str:
        """Format the change of a number since it was last known; `write` formats the difference with its sign."""
        now, before = read(self.newest), self.find_before(read)
        if before is None:
            return "nothing to compare with yet"
        result, number = before
        since = "the window before" if result is self.previous else f"the window as of {write_date(result.as_of)}"
        if now is None:
            return f"last known in {since}"
        moved = write(now - number)
        return f"{moved} on {since}" if re.search("[1-9]", moved) else f"as in {since}"

    @property
    def recent_rulings(self) -> list[RulingRecord]:
        """The rulings since the result before, the newest first; without such a result all of them.

        In a simulation `as_of` is in the past, while the governor's clock may be the wall clock or set to the past too.
        """
        if self.previous is None:
            return list(self.rulings)
        wall = min(result.computed_at for result in self.results)
        since, since_wall = self.previous.as_of, self.previous.computed_at
        return [one for one in self.rulings if one.ruled_at >= (since_wall if one.ruled_at >= wall else since)]


def build_history(task: Task, results: Sequence[MonitoringResult], rulings: Sequence[RulingRecord] = ()) -> History:
    """Build the history of one problem; rulings of others are left out."""
    own = [one for one in rulings if one.problem == task.problem.name and one.decided_at is not None]
    return History(
        task,
        sorted(results, key=lambda result: result.as_of),
        sorted(own, key=lambda one: one.ruled_at, reverse=True),
    )


def tile_windows(results: Sequence[MonitoringResult]) -> list[MonitoringResult]:
    """Return results whose windows do not overlap, the newest among them, the oldest first.

    From the newest back, each next window is the latest that ends before the start of the one before. Without this
    a window of 30 days that is measured every day would count each prediction 30 times.
    """
    chosen: list[MonitoringResult] = []
    for result in sorted(results, key=lambda one: one.window.end, reverse=True):
        if not chosen or result.window.end <= chosen[-1].window.start:
            chosen.append(result)
    return chosen[::-1]


def add_estimates(estimates: Sequence[Estimate]) -> Estimate:
    """Add independent estimates; the sum has bounds only if all of them have.

    Source: Zou, Donner (2008), Construction of confidence limits about effect measures: a general approach, Statistics
    in Medicine 27(10): the distances of the bounds add up as squares do.
    """
    total = sum(one.estimate for one in estimates)
    bounds = [
        (one.estimate - one.low, one.high - one.estimate)
        for one in estimates
        if one.low is not None and one.high is not None
    ]
    if len(bounds) < len(estimates) or not bounds:
        return Estimate(estimate=total)
    down, up = (sum(side**2 for side in sides) ** 0.5 for sides in zip(*bounds, strict=True))
    return Estimate(estimate=total, low=total - down, high=total + up)


def scale_estimate(estimate: Estimate, factor: float) -> Estimate:
    """Multiply an estimate and its bounds by a factor that is not negative."""
    low, high = (None if bound is None else bound * factor for bound in (estimate.low, estimate.high))
    return Estimate(estimate=estimate.estimate * factor, low=low, high=high)


def format_window(window: Window) -> str:
    """Format the days of a window: `1 to 31 December 2013`; its end is exclusive."""
    first, last = window.start, window.end - timedelta(microseconds=1)
    if first.date() == last.date():
        return write_date(first)
    same_month = (first.year, first.month) == (last.year, last.month)
    start = f"{first.day}" if same_month else write_date(first)
    return f"{start} to {write_date(last)}"


def compare_findings(history: History) -> tuple[list[WindowFinding], list[WindowFinding]]:
    """Return the findings that are new since the result before, and those that are gone.

    Findings are the same if topic and title are, apart from numbers in the title.
    """
    now = {_name_finding(one): one for one in history.newest.findings}
    before = {_name_finding(one): one for one in history.previous.findings} if history.previous else {}
    new = [one for key, one in now.items() if key not in before]
    return (new if history.previous else []), [one for key, one in before.items() if key not in now]


def _name_finding(finding: WindowFinding) -> tuple[str, str]:
    """Return topic and title without numbers and plurals: `1 feature is` equals `2 features are`."""
    return finding.topic, re.sub(r"\d[\d.,]*|\b(?:is|are)\b|s\b|\s+", "", finding.title)
