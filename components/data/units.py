"""Recognise that a number was delivered in another unit, by what its quantiles became.

In: quantiles before and now. Out: the conversion that explains them. Called by `changes.py`. Only conversions by a
factor beyond 1.6 either way are known: smaller steps are what weather and seasons do.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# The outer ones are what hardly a value lies beyond, the five in the middle tell one shape from another.
LEVELS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
_SHAPE = slice(2, 7)
_LOWEST, _LOW, _MEDIAN, _HIGH, _HIGHEST = 0, 1, 4, 7, 8
# In interquartile ranges: rows of one distribution stay within the first, another month is mostly within the second.
_SAME_SHAPE = 0.3
_OTHER_SHAPE = 0.5
# Of the range of before, so far another month goes beyond it.
_MARGIN = 0.25
# Of a constant, whose interquartile range is 0, in its value.
_CONSTANT_SPREAD = 0.02


class Conversion(NamedTuple):
    """`factor * value + offset`."""

    before: str
    after: str
    factor: float
    offset: float = 0.0

    def apply(self, values: Array) -> Array:
        """Return the values in the unit after."""
        return self.factor * values + self.offset

    def invert(self) -> "Conversion":
        """Return the way back."""
        return Conversion(self.after, self.before, 1 / self.factor, -self.offset / self.factor)

    def describe(self) -> str:
        """Format both units and the formula."""
        plus = f" {'+' if self.offset > 0 else '-'} {abs(self.offset):.4g}" if self.offset else ""
        return f"{self.before} to {self.after} (x {self.factor:.4g}{plus})"


_FORWARD = (
    Conversion("miles", "kilometres", 1.609344),
    Conversion("feet", "metres", 0.3048),
    Conversion("inches", "centimetres", 2.54),
    Conversion("inches", "millimetres", 25.4),
    Conversion("kilometres", "metres", 1000),
    Conversion("miles per hour", "kilometres per hour", 1.609344),
    Conversion("miles per hour", "metres per second", 0.44704),
    Conversion("knots", "kilometres per hour", 1.852),
    Conversion("knots", "metres per second", 0.514444),
    Conversion("metres per second", "kilometres per hour", 3.6),
    Conversion("pounds", "kilograms", 0.45359237),
    Conversion("kilograms", "grams", 1000),
    Conversion("inches of mercury", "millibar", 33.8638867),
    Conversion("days", "hours", 24),
    Conversion("hours", "minutes", 60),
    Conversion("minutes", "seconds", 60),
    Conversion("hours", "seconds", 3600),
    Conversion("seconds", "milliseconds", 1000),
    Conversion("shares", "percent", 100),
    Conversion("degrees Celsius", "degrees Fahrenheit", 9 / 5, 32),
)
_CONVERSIONS = (*_FORWARD, *(one.invert() for one in _FORWARD))


def find_conversion(
    before: Sequence[float], now: Sequence[float], unit: str | None, days: tuple[float, float] | None = None
) -> Conversion | None:
    """Return the conversion that makes the numbers of before those of now; None when none does, or none is needed.

    Either it takes most of the difference of the shapes away, or nearly all values lie beyond all of before, and where
    these would be after it: the values of one day, say, which have not the shape of a month's. Of several, the one
    that meets the median best.

    Args:
        before: Quantiles at `LEVELS`.
        now: The same of the new numbers.
        unit: The contract's. From one that is known here, only conversions of it are tried; from others, all that are
            a factor alone.
        days: Least and greatest median of a day before: a median between them is nothing new. None: unknown.
    """
    old, new = np.array(before), np.array(now)
    if not len(old) or not len(new) or (days and days[0] <= new[_MEDIAN] <= days[1]):
        return None
    is_outside = new[_HIGH] < old[_LOWEST] or new[_LOW] > old[_HIGHEST]
    difference = _measure_distance(old, new)
    found = []
    own = [one for one in _CONVERSIONS if one.before == unit]
    for conversion in own or (one for one in _CONVERSIONS if not one.offset):
        wanted = conversion.apply(old)
        margin = _MARGIN * (wanted[_HIGHEST] - wanted[_LOWEST])
        is_there = wanted[_LOWEST] - margin <= new[_LOW] and new[_HIGH] <= wanted[_HIGHEST] + margin
        rest = _measure_distance(wanted, new)
        if (is_outside and is_there) or (difference >= _OTHER_SHAPE and rest <= min(_SAME_SHAPE, difference / 3)):
            found.append((abs(new[_MEDIAN] - wanted[_MEDIAN]) / max(abs(wanted[_MEDIAN]), 1e-12), conversion))
    return min(found, default=(0.0, None), key=lambda one: one[0])[1]


def _measure_distance(old: Array, new: Array) -> float:
    """Return the greatest difference of the middle quantiles, in interquartile ranges of the old ones."""
    spread = max(old[5] - old[3], _CONSTANT_SPREAD * abs(old[_MEDIAN]))
    return float(np.abs(new - old)[_SHAPE].max() / spread) if spread else 0.0
