"""The policy of a regression: plan a point of each row's interval, chosen by what wrong plans cost.

Notation
    y         outcome of each row                                    (n,)
    o         output: prediction, low and high end of its interval   (n, 3)
    d         what is planned for each row                           (n,)
    value     of the plans, in the currency of the contract, against planning nothing

Called through `RegressionTask` by judge, endpoint and monitor.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from components.base.contract.regression import UnitCosts
from components.base.task import Output

Array = NDArray[np.float64]

# From well below the low end to well above the high one, in tenths of the way from the prediction to that end.
_POSITIONS = tuple(step / 10 for step in range(-20, 31))


class PositionPolicy(BaseModel):
    """Plan the prediction, moved towards an end of its interval: a row that is less certain gets a larger reserve."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["position"] = "position"
    position: float
    """0 is the prediction, 1 the high end of the interval, -1 the low end; linear in between and beyond."""

    def apply(self, output: Output) -> Array:
        """Return what is planned for each row of the output, shape (n, 3), in the unit of the outcome, shape (n,)."""
        prediction, low, high = output.T
        reach = high - prediction if self.position >= 0 else prediction - low
        planned: Array = prediction + self.position * reach
        return planned


@dataclass(frozen=True)
class PositionPoint:
    """What one position is worth."""

    position: float
    value_per_1000: float


class PositionSearch(BaseModel):
    """How the position was chosen: what `RegressionTask.fit_policy` finds; `ensemble` adds the rows and their time."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    chosen: PositionPoint
    quantile: float
    """Of the outcome, that a perfect forecast of it would plan."""
    curve: tuple[PositionPoint, ...]


def critical_quantile(costs: UnitCosts) -> float:
    """Return the quantile of the outcome at which a plan costs least in expectation.

    Source: Arrow, Harris, Marschak (1951), Optimal Inventory Policy, Econometrica 19(3) (the newsvendor's ratio).
    """
    return costs.short / (costs.short + costs.surplus)


def value_rows(y: Array, planned: Array, costs: UnitCosts) -> Array:
    """Return what each plan saves against planning nothing, shape (n,)."""
    return _cost_rows(y, np.zeros_like(y), costs) - _cost_rows(y, planned, costs)


def _cost_rows(y: Array, planned: Array, costs: UnitCosts) -> Array:
    return costs.short * np.maximum(y - planned, 0) + costs.surplus * np.maximum(planned - y, 0)


def trace_positions(y: Array, output: Output, costs: UnitCosts) -> tuple[PositionPoint, ...]:
    """Return what each position is worth, in rising order."""
    return tuple(
        PositionPoint(
            position, 1000 * float(value_rows(y, PositionPolicy(position=position).apply(output), costs).mean())
        )
        for position in _POSITIONS
    )


def choose_position(y: Array, output: Output, costs: UnitCosts) -> PositionSearch:
    """Return the position of the highest value; of equal ones, as where intervals have no width, the nearest to 0."""
    curve = trace_positions(y, output, costs)
    chosen = max(curve, key=lambda point: (point.value_per_1000, -abs(point.position)))
    return PositionSearch(chosen=chosen, quantile=critical_quantile(costs), curve=curve)
