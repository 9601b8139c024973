"""What stops a release in the features that it would be served, and what does not."""

import math
from datetime import UTC, datetime

import pandas as pd
import pytest

from components.base.contract.monitoring import QualityLimits
from components.base.dataset import Feature
from components.features.explore.profile import build_profile
from components.features.online.reader import ServedFeatures
from components.release.served_features import EXPIRED, MISSING, SKEW, compare_features, judge_features

AT = datetime(2013, 7, 1, tzinfo=UTC)
FEATURES = (
    Feature("distance", "numeric", "request", "Distance"),
    Feature("pressure", "numeric", "weather", "Pressure"),
)
LIMITS = QualityLimits(maximum_missing_rise=0.1, maximum_expired_rise=0.05, maximum_skew_ratio=0.05)
ROWS = 100


def looked_up(pressure: float, age: float | None = 60.0, is_expired: bool = False) -> ServedFeatures:
    missing = ("pressure",) if math.isnan(pressure) else ()
    return ServedFeatures({"pressure": pressure}, missing, {"weather": age}, ("weather",) * is_expired, AT.timestamp())


USUAL, EMPTY = looked_up(1013.0), looked_up(math.nan)
UNKNOWN, OLD = looked_up(math.nan, age=None), looked_up(math.nan, age=1e6, is_expired=True)


def blocking(joined: float, found: ServedFeatures, rows: int, lacking: int = 0, held: datetime = AT) -> set[str]:
    """Return the gates that block when so many of the newest rows are served and joined like that, the others well.

    Args:
        joined: The pressure that training would have got for those rows.
        found: What the store gives for them.
        rows: How many of 100 they are.
        lacking: Rows of 100 that have no pressure in training.
        held: The time that the store was filled for.
    """
    training = pd.DataFrame({"distance": 1.0, "pressure": [math.nan] * lacking + [1000.0] * (ROWS - lacking)})
    profile = build_profile(training.assign(late=0), FEATURES, "late")
    trained = pd.DataFrame({"distance": 1.0, "pressure": [joined] * rows + [1013.0] * (ROWS - rows)})
    served = [found] * rows + [USUAL] * (ROWS - rows)
    compared = compare_features(FEATURES, trained, [{"distance": 1.0}] * ROWS, served, profile)
    return {gate.name for gate in judge_features(compared, LIMITS, held, AT) if gate.blocks}


def test_equal_values_pass():
    assert blocking(1013.0, USUAL, ROWS) == set()


@pytest.mark.parametrize(("rows", "gates"), [(5, set()), (6, {SKEW})])
def test_other_values_than_the_join_gives_block_beyond_the_limit(rows, gates):
    assert blocking(1000.0, USUAL, rows) == gates


def test_value_that_the_source_left_empty_is_no_fault_of_serving():
    assert blocking(math.nan, EMPTY, 45) == set()


def test_value_that_the_store_lost_is_another_one():
    assert blocking(1013.0, EMPTY, 45) == {SKEW}


def test_entities_that_the_store_does_not_hold_block_even_when_the_join_has_none_either():
    assert blocking(math.nan, UNKNOWN, 45) == {MISSING}
    assert blocking(1013.0, UNKNOWN, 45) == {SKEW, MISSING}


@pytest.mark.parametrize("joined", [1013.0, math.nan])
def test_values_that_are_too_old_block_as_expired_and_not_as_different(joined):
    assert blocking(joined, OLD, 45) == {MISSING, EXPIRED}


def test_what_training_lacked_too_is_no_rise():
    assert blocking(math.nan, UNKNOWN, 45, lacking=40) == set()
    assert blocking(math.nan, OLD, 45, lacking=40) == set()
    assert blocking(math.nan, UNKNOWN, 45, lacking=30) == {MISSING}


def test_values_of_another_time_are_not_compared():
    assert blocking(1000.0, USUAL, ROWS, held=datetime(2013, 7, 2, tzinfo=UTC)) == set()
