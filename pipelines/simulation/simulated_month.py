"""One month of a simulation: `simulation` writes it; the terminal, the timeline and the value of retraining read it."""

from dataclasses import dataclass
from datetime import datetime

from components.base.local_run import LocalRun
from components.monitoring.results import MonitoringResult
from pipelines.simulation.traffic import TrafficCounts


@dataclass(frozen=True)
class SimulatedMonth:
    """What one month brought."""

    start: datetime
    end: datetime
    answered: TrafficCounts
    result: MonitoringResult
    served_version: str
    """Champion while the month was served."""
    reports: LocalRun
