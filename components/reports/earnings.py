"""What the decisions earned: in one window, since the beginning, and against what others would have earned.

In: a `History`. Out: `Earnings`, amounts in the contract's currency with their intervals. Called by the KPI report.

Windows that overlap are counted once (`tile_windows`), each as its report knew it: a label that came later is not in
it. The interval of a sum takes the windows as independent.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from components.monitoring.results import Contender, ContenderValue, Estimate, MonitoringResult
from components.reports.history import History, add_estimates, scale_estimate, tile_windows


@dataclass(frozen=True)
class Earnings:
    """What was earned in one or more windows."""

    earned: float
    rows: int
    """Rows whose outcome is known."""
    windows: int
    more_than_current: Estimate | None
    """Served less the current solution, in the currency, over all windows; None where it is not known in each."""
    more_than_previous: Estimate | None
    """Served less the model before, over the windows that had one."""


def sum_earnings(results: Sequence[MonitoringResult]) -> Earnings | None:
    """Add up the windows whose value is known; None without any."""
    known = [result for result in results if result.value and "served" in result.value.contenders]
    if not known:
        return None
    served = [result.value.contenders["served"] for result in known if result.value]
    gains = {name: _gains(known, name) for name in ("current_solution", "previous")}
    current, previous = gains["current_solution"], gains["previous"]
    return Earnings(
        earned=sum(one.total for one in served),
        rows=sum(one.rows for one in served),
        windows=len(known),
        more_than_current=add_estimates(current) if len(current) == len(known) else None,
        more_than_previous=add_estimates(previous) if previous else None,
    )


def sum_window(history: History) -> Earnings | None:
    """Tell what the newest window earned."""
    return sum_earnings([history.newest])


def sum_beginning(history: History) -> Earnings | None:
    """Tell what all windows earned together."""
    return sum_earnings(tile_windows(history.results))


def find_contender(result: MonitoringResult, name: Contender) -> ContenderValue | None:
    """Return one contender of a window."""
    return result.value.contenders.get(name) if result.value else None


def tell_gain(result: MonitoringResult, name: Contender) -> Estimate | None:
    """Return what was earned more than by another in a window, in the currency; None when it is not known."""
    served, other = find_contender(result, "served"), find_contender(result, name)
    if served is None or other is None or other.gain_of_served_per_1000 is None:
        return None
    return scale_estimate(other.gain_of_served_per_1000, _count_rows(served) / 1000)


def count_right(result: MonitoringResult, name: Contender = "served") -> float | None:
    """Return how many of 100 actions were right."""
    one = find_contender(result, name)
    if one is None or one.right_actions is None or not one.actions:
        return None
    return one.right_actions / one.actions * 100


def use_capacity(history: History, result: MonitoringResult) -> float | None:
    """Return the share of the possible actions that was taken; None without a limit."""
    per_day = history.problem.business.capacity_per_day
    days = (result.window.end - result.window.start).total_seconds() / 86_400
    return result.traffic.actions / (per_day * days) if per_day and days else None


def _count_rows(served: ContenderValue) -> float:
    """Return the rows that a total stands for: more than the rows themselves where the log is a sample."""
    stood_for = 1000 * served.total / served.per_1000.estimate if served.per_1000.estimate else 0.0
    return stood_for if stood_for > 0 else float(served.rows)


def _gains(results: Sequence[MonitoringResult], name: Contender) -> list[Estimate]:
    return [gain for gain in (tell_gain(result, name) for result in results) if gain]
