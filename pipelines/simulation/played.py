"""The record of one month of a replay, as `play` writes it and the terminal, the timeline and the earnings read it."""

from dataclasses import dataclass
from datetime import datetime

from components.monitoring.results import MonitoringResult
from pipelines.runners.records import LocalRun
from pipelines.simulation.traffic import Answered


@dataclass(frozen=True)
class PlayedMonth:
    """What one month brought."""

    start: datetime
    end: datetime
    answered: Answered
    result: MonitoringResult
    served_version: str
    """In charge while the month was served."""
    reports: LocalRun
