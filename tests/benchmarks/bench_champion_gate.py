"""How often the champion gate passes a challenger whose true gain is known: none, or one, two, four times the smallest.

Two models are drawn on the same rows. Each knows the log-odds of the outcome but for an error; a part of it is shared,
as models share it that were fitted to much the same rows, and each day has a level of its own. The challenger's own
error is made smaller until its average precision over a million rows is better by the wanted gain. Sizes are those of
the demo: base rate, rows a day, average precision, and the standard error of the difference of two models of one recipe
and two seeds, 0.0045 on 28 days.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.optimize import brentq
from scipy.special import expit
from sklearn.metrics import average_precision_score

from components.base.statistics.resampling import bound_gain, draw_resamples
from components.models.gates import Lift
from components.tasks.binary.ranking import resample_average_precision

Array = NDArray[np.float64]

MINIMUM_LIFT = 0.005
MULTIPLES = (0, 1, 2, 4)
DAYS = (14, 28, 56)
RELEASES = 100
RESAMPLES = 300
ROWS_A_DAY = 940
# Standard deviations in log-odds: of the rows, of the days, of the shared error, and of the champion's own.
SIGNAL, DAY, SHARED, OWN = 1.5, 0.6, 0.3, 0.75
LEVEL = -1.4


class Rows(NamedTuple):
    """Days of rows with the scores of two models."""

    day: NDArray[np.intp]
    outcome: Array
    champion: Array
    challenger: Array


def main() -> None:
    """Print one line a number of days, one column a gain."""
    table = Table(title=f"Share of {RELEASES} releases that pass; smallest useful gain {MINIMUM_LIFT:g}", box=None)
    for column in ("days", "rows", "standard error", *(f"gain {k * MINIMUM_LIFT:.3f}" for k in MULTIPLES)):
        table.add_column(column, justify="right", no_wrap=True)
    errors = {multiple: find_error(multiple * MINIMUM_LIFT) for multiple in MULTIPLES}
    for days in DAYS:
        gains = {k: [measure(days, own, seed) for seed in range(RELEASES)] for k, own in errors.items()}
        spread = np.std([lift.gain.estimate for lift in gains[0]])
        passed = [f"{np.mean([lift.is_proven for lift in gains[k]]):.0%}" for k in MULTIPLES]
        table.add_row(str(days), f"{days * ROWS_A_DAY:,}", f"{spread:.4f}", *passed)
    Console().print(table)


def find_error(gain: float) -> float:
    """Return the standard deviation of the challenger's own error that gives it a gain in average precision."""

    def miss(own: float) -> float:
        rows = draw(1000, own, seed=12345)
        return score(rows.outcome, rows.challenger) - score(rows.outcome, rows.champion) - gain

    # At no gain both models err alike, by two draws of one size.
    return float(brentq(miss, 0.0, OWN, xtol=1e-3)) if gain else OWN


def measure(days: int, own: float, seed: int) -> Lift:
    """Return the gain of one release as the gate sees it."""
    rows = draw(days, own, seed)
    times = pd.Series(pd.Timestamp("2013-06-01", tz="UTC") + pd.to_timedelta(rows.day, unit="D"))
    resamples = draw_resamples(times, seed, RESAMPLES)
    scores = [expit(scores) for scores in (rows.challenger, rows.champion)]
    new, old = (resample_average_precision(rows.outcome, p, resamples) for p in scores)
    estimate = score(rows.outcome, rows.challenger) - score(rows.outcome, rows.champion)
    return Lift("average precision", bound_gain(estimate, new - old, resamples), MINIMUM_LIFT, "{:+.4f}")


def draw(days: int, own: float, seed: int) -> Rows:
    """Draw days of rows, and what both models say of them."""
    random = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), ROWS_A_DAY)
    size = len(day)
    logits = LEVEL + random.normal(0, DAY, days)[day] + random.normal(0, SIGNAL, size)
    outcome = (random.random(size) < expit(logits)).astype(np.float64)
    seen = logits + random.normal(0, SHARED, size)
    return Rows(day, outcome, seen + random.normal(0, OWN, size), seen + random.normal(0, own, size))


def score(outcome: Array, scores: Array) -> float:
    """Return average precision."""
    return float(average_precision_score(outcome, scores))


if __name__ == "__main__":
    main()
