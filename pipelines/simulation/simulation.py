"""Simulate the months: land, refresh, serve, log, label, monitor, alert, rule, retrain, release.

In: the settings of the simulation's home with a running object store and platform. Out: `SimulatedMonth`s; the reports
are in the home. Called by `simulate`. The clock is a file that this module advances; nothing sleeps for it. What it
waits for (a scrape, a ruling, a training) is real.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from components.base.adapters.s3 import open_store
from components.base.clock import set_clock
from components.base.contract.problem import Problem
from components.base.runner import Pipeline
from components.base.settings import Settings
from components.features.online.time_travel import open_time_travel, plan_time_travel
from components.monitoring.results import MonitoringResult, read_results
from pipelines.runners.run import Job, run_pipeline
from pipelines.simulation.alert_watch import AlertWatch
from pipelines.simulation.demo_data import land_deliveries
from pipelines.simulation.injections import change_delivery
from pipelines.simulation.local_platform import LocalPlatform
from pipelines.simulation.scenario import BROKEN_FEED, BROKEN_VIEW, PROBLEM, SLOW_MODEL, Incident
from pipelines.simulation.simulated_month import SimulatedMonth
from pipelines.simulation.simulation_terminal import SimulationTerminal
from pipelines.simulation.slow_model import slowed
from pipelines.simulation.traffic import HourlyRequest, Sender, TrafficCounts, read_requests
from pipelines.simulation.waiting import wait_logged, wait_ruled, wait_seen


@dataclass
class Clock:
    """The simulated time, also for readers in another thread."""

    settings: Settings
    time: datetime

    def move(self, time: datetime) -> None:
        """Set the time for every part."""
        self.time = time
        set_clock(self.settings, time)


@dataclass
class Simulation:
    """One simulation."""

    settings: Settings
    problem: Problem
    platform: LocalPlatform
    clock: Clock
    watch: AlertWatch | None
    """None without Prometheus and Alertmanager."""
    terminal: SimulationTerminal
    months: list[SimulatedMonth] = field(default_factory=list)

    def simulate_month(self, start: datetime, end: datetime) -> SimulatedMonth:
        """Simulate one month, and let the platform act at its end.

        Raises:
            StepFailedError: a pipeline failed.
            EndpointUnavailableError: something that was waited for did not come.
        """
        endpoint = self.platform.endpoint.current
        self.terminal.show_month(f"{start:%B %Y}")
        land_deliveries(PROBLEM, until=end.isoformat(), change=change_delivery)
        # The steps fill a second store up to the end of the month, while the first is moved on hour by hour.
        with _environment({"TIDEMILL_ONLINE_STORE": str(_next_store(self.settings))}):
            refreshed = run_pipeline(self.settings, self._job("refresh", end), self.terminal)
        self.terminal.show_run(refreshed, refreshed.steps[-2].message)
        began = time.monotonic()
        answered = self._serve(start, end, str(refreshed.features_uri))
        self.terminal.show_traffic(answered, time.monotonic() - began)
        wait_logged(endpoint.url)
        # What the refresh prepared takes its place.
        _next_store(self.settings).replace(self.settings.online_store)
        self.clock.move(end)
        reports = run_pipeline(self.settings, self._job("monitoring", end), self.terminal)
        (result,) = read_results(open_store(self.settings), PROBLEM, last=1)
        self.terminal.show_monitoring(result, reports)
        month = SimulatedMonth(start, end, answered, result, endpoint.version, reports)
        self.months.append(month)
        self._let_act(result)
        return month

    def _let_act(self, result: MonitoringResult) -> None:
        """Wait for alerts, rulings and trainings; serve what was promoted."""
        if self.platform.observers and self.watch:
            wait_seen(self.platform.observers, result)
            self.watch.look()
        wait_ruled(self.platform, PROBLEM, set(self.problem.retraining.alerts), self.terminal.show_rulings)
        self.terminal.show_rulings(self.platform.read_rulings(PROBLEM))
        self.platform.endpoint.follow_champion()

    def _job(self, pipeline: Pipeline, end: datetime) -> Job:
        return Job(pipeline, PROBLEM, end.isoformat())

    def _serve(self, start: datetime, end: datetime, features_uri: str) -> TrafficCounts:
        """Send the month's requests, hour by hour, each to a store that knows what was known by then."""
        requests = read_requests(open_store(self.settings), start, end)
        steps = plan_time_travel(self.problem, features_uri, start, [request.time for request in requests])
        endpoint = self.platform.endpoint.current
        with (
            Sender(endpoint.url, endpoint.name) as sender,
            open_time_travel(self.problem, Path(self.settings.online_store)) as travel,
        ):
            for request, step in zip(requests, steps, strict=True):
                self.clock.move(request.time)
                travel.advance(step, [BROKEN_VIEW] if _is_within(request, BROKEN_FEED) else [])
                with slowed(endpoint.process.pid) if _is_within(request, SLOW_MODEL) else nullcontext():
                    sender.send(request)
        return sender.answered


def _is_within(request: HourlyRequest, incident: Incident) -> bool:
    return incident.start <= request.time < incident.end


def _next_store(settings: Settings) -> Path:
    return Path(settings.online_store).with_name("online-next.db")


@contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    """Change the environment that the steps of a pipeline inherit."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
