"""The story that `make loop` plays: half a year of `flight-delays` after its first release, with four incidents.

In: the contract of the problem. Out: the months, the incidents, and the contract of the simulation: the same one with a
smaller search and shorter roles, so that two trainings fit into ten minutes and a model can follow a change within
two months. What is changed is listed in `CHANGES` and shown with the result.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import yaml

PROBLEM = "flight-delays"
# Half a year of history for the first release, half a year to live through.
FIRST_RELEASE = datetime(2013, 7, 1, tzinfo=UTC)
MONTH_ENDS = tuple(datetime(2013 + month // 12, month % 12 + 1, 1, tzinfo=UTC) for month in range(7, 13))
# Every duration of an alert is divided by it, so that an hour of an SLO is a minute here, two months of traffic.
CLOCK_SCALE = 60

CHANGES: dict[str, dict[str, Any]] = {
    "search": {"candidates": ["logistic", "hist_gradient_boosting"], "trials": 12},
    "split": {"train_days": 60, "validation_days": 14, "test_days": 14},
}


@dataclass(frozen=True)
class Incident:
    """Something that happens to the system, in the simulated year."""

    name: str
    title: str
    text: str
    start: datetime
    end: datetime


HARMLESS_SHIFT = Incident(
    "harmless_shift",
    "Barometers are recalibrated",
    "From 10 July on every barometer shows 12 millibar more. The model gives the pressure little weight: no alert.",
    datetime(2013, 7, 10, tzinfo=UTC),
    datetime(2014, 1, 1, tzinfo=UTC),
)
CONCEPT_SHIFT = Incident(
    "concept_shift",
    "Slots are handed out anew",
    "From 1 August on flights before 11 o'clock arrive 25 minutes later than they did, those from 15 o'clock on 25 "
    "minutes earlier. The inputs look as before; what they mean has changed.",
    datetime(2013, 8, 1, tzinfo=UTC),
    datetime(2014, 1, 1, tzinfo=UTC),
)
BROKEN_FEED = Incident(
    "broken_feed",
    "The weather feed breaks",
    "From 6 to 20 November no observation reaches the online store: weather features expire and are served as missing.",
    datetime(2013, 11, 6, tzinfo=UTC),
    datetime(2013, 11, 20, tzinfo=UTC),
)
SLOW_MODEL = Incident(
    "slow_model",
    "The model's processor is taken away",
    "From 8 to 16 December the predictor works for 3 ms and then waits for 40, as a throttled container does.",
    datetime(2013, 12, 8, tzinfo=UTC),
    datetime(2013, 12, 16, tzinfo=UTC),
)
INCIDENTS = (HARMLESS_SHIFT, CONCEPT_SHIFT, BROKEN_FEED, SLOW_MODEL)
BROKEN_VIEW = "origin_weather"


def change_contract(contract: str) -> str:
    """Return the contract's YAML with the changes of the simulation."""
    sections = yaml.safe_load(contract)
    for section, changes in CHANGES.items():
        sections[section].update(changes)
    changed: str = yaml.safe_dump(sections, sort_keys=False, allow_unicode=True)
    return changed
