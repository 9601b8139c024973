"""What the decisions earned, and how much more than others would have earned.

In: a `History`. Out: `Earnings`, amounts in the contract's currency with their intervals. Called by the KPI report.

Every window counts as its report measured it: labels that arrived later are not in it. The interval of a sum assumes
that the windows are independent, so that callers pass windows that do not overlap (`tile_windows`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from components.monitoring.results import Contender, ContenderValue, Estimate, MonitoringResult
from components.reports.history import History, add_estimates, scale_estimate


@dataclass(frozen=True)
class Earnings:
    """What was earned in one or more windows."""

    earned: float
    rows: int
    """Rows whose outcome is known."""
    windows: int
    more_than_current: Estimate | None
    """Served minus the current solution, in the currency, over all windows; None if it is unknown in any of them."""
    more_than_nothing: Estimate | None
    """Served minus doing nothing, over all windows; None if it is unknown in any of them."""
    more_than_previous: Estimate | None
    """Served minus the model before, over the windows that had one."""


def sum_earnings(results: Sequence[MonitoringResult]) -> Earnings | None:
    """Add up the windows whose value is known; None without any."""
    known = [result for result in results if result.value and "served" in result.value.contenders]
    if not known:
        return None
    served = [result.value.contenders["served"] for result in known if result.value]
    current = [gain for result in known if (gain := measure_gain(result, "current_solution"))]
    nothing = [gain for result in known if (gain := measure_gain(result, "no_action"))]
    previous = [gain for result in known if (gain := measure_gain(result, "previous"))]
    return Earnings(
        earned=sum(one.total for one in served),
        rows=sum(one.rows for one in served),
        windows=len(known),
        more_than_current=add_estimates(current) if len(current) == len(known) else None,
        more_than_nothing=add_estimates(nothing) if len(nothing) == len(known) else None,
        more_than_previous=add_estimates(previous) if previous else None,
    )


def find_contender(result: MonitoringResult, name: Contender) -> ContenderValue | None:
    """Return one contender of a window."""
    return result.value.contenders.get(name) if result.value else None


def measure_gain(result: MonitoringResult, name: Contender) -> Estimate | None:
    """Measure how much more was earned than by another contender in a window, in the currency; None if unknown."""
    served, other = find_contender(result, "served"), find_contender(result, name)
    if served is None or other is None or other.gain_of_served_per_1000 is None:
        return None
    # More rows than were logged are behind a total if the log is a sample.
    rows = 1000 * served.total / served.per_1000.estimate if served.per_1000.estimate else 0.0
    return scale_estimate(other.gain_of_served_per_1000, (rows if rows > 0 else float(served.rows)) / 1000)


def count_right(result: MonitoringResult, name: Contender = "served") -> float | None:
    """Return how many of 100 actions were right; None if unknown."""
    one = find_contender(result, name)
    if one is None or one.right_actions is None or not one.actions:
        return None
    return one.right_actions / one.actions * 100


def measure_capacity_used(history: History, result: MonitoringResult) -> float | None:
    """Measure the share (0 to 1) of the possible actions that was taken; None without a capacity."""
    per_day = history.problem.business.capacity_per_day
    days = (result.window.end - result.window.start).total_seconds() / 86_400
    return result.traffic.actions / (per_day * days) if per_day and days else None
