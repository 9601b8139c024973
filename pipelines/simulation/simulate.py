"""Simulate half a year after the first release: `tidemill loop`.

Trains the first release, then goes through six months: traffic, labels, drift, alerts, one retraining, the champion
gate. Has a home of its own below the home of the settings, which it deletes first.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from components.base.contract.load import load_problem, read_contract
from components.base.errors import PermanentError
from components.base.settings import Settings, load_settings
from components.reports.home_page import render_index
from pipelines.runners.records import read_records
from pipelines.runners.run import Job, run_pipeline
from pipelines.runners.services import embedded_services
from pipelines.runners.terminal import open_console
from pipelines.simulation.alert_watch import AlertWatch
from pipelines.simulation.build_timeline import SimulationOutcome, build_timeline
from pipelines.simulation.check_dashboards import describe_panels, query_dashboards
from pipelines.simulation.demo_data import land_deliveries
from pipelines.simulation.local_platform import LocalPlatform, start_platform
from pipelines.simulation.observers import find_missing
from pipelines.simulation.retraining_value import ServedMonth, measure_retraining
from pipelines.simulation.scenario import FIRST_RELEASE, MONTH_ENDS, PROBLEM, change_contract
from pipelines.simulation.simulation import Clock, Simulation
from pipelines.simulation.simulation_terminal import SimulationTerminal
from pipelines.simulation.timeline_page import render_timeline

# A month is served in half a minute; its log must be in the object store right after.
_SEGMENT_SECONDS = 3
_AFTER_SCHEDULE = timedelta(hours=12)


def simulate(months: int) -> None:
    """Simulate the months after the first release, and show what came out.

    Raises:
        PermanentError: another simulation runs in the same home.
        TidemillError: a pipeline or a service failed.
    """
    terminal = SimulationTerminal(open_console())
    with _own_home(load_settings()) as home, embedded_services(home):
        _run(load_settings(), MONTH_ENDS[:months], terminal)


def _run(settings: Settings, ends: Sequence[datetime], terminal: SimulationTerminal) -> None:
    started = time.monotonic()
    contract_file = settings.problems / f"{PROBLEM}.yaml"
    problem = load_problem(contract_file)
    clock = Clock(settings, FIRST_RELEASE)
    clock.move(FIRST_RELEASE)
    if missing := find_missing():
        terminal.console.print(missing, style="yellow", markup=False, highlight=False)
    # Train and deploy the first release, and monitor it once, as the next morning's schedule would.
    terminal.console.rule(f"[bold]The first release[/], as of {FIRST_RELEASE:%d %B %Y}", align="left")
    land_deliveries(PROBLEM, until=FIRST_RELEASE.isoformat())
    trained = run_pipeline(settings, Job("training", PROBLEM, FIRST_RELEASE.isoformat()), terminal)
    terminal.show_run(trained, str(trained.verdict_in_words))
    monitored = run_pipeline(settings, Job("monitoring", PROBLEM, FIRST_RELEASE.isoformat()), terminal)
    terminal.show_run(monitored, "nothing was served yet")
    # The governor's scheduled run of this morning is the first release itself.
    clock.move(FIRST_RELEASE + _AFTER_SCHEDULE)
    with start_platform(settings, problem, contract_file) as platform, _watching(platform, clock, terminal) as watch:
        terminal.show_platform(platform.addresses)
        play = Simulation(settings, problem, platform, clock, watch, terminal)
        for start, end in zip([FIRST_RELEASE, *ends], ends, strict=False):
            play.simulate_month(start, end)
        _report(play, time.monotonic() - started)


@contextmanager
def _watching(platform: LocalPlatform, clock: Clock, terminal: SimulationTerminal) -> Iterator[AlertWatch | None]:
    """Follow the alerts, where there is a Prometheus."""
    if platform.observers is None:
        yield None
        return
    with AlertWatch(platform.observers, lambda: clock.time, terminal.show_alert) as watch:
        yield watch


def _report(play: Simulation, seconds: float) -> None:
    """Write the timeline and the index, and show what the half year brought."""
    settings, platform, terminal = play.settings, play.platform, play.terminal
    if platform.observers:
        terminal.show_dashboards(describe_panels(query_dashboards(platform.observers, PROBLEM, seconds)))
    served = [ServedMonth(month.start, month.end, month.served_version) for month in play.months]
    earnings = measure_retraining(play.problem, settings, served)
    alerts, rulings = play.watch.spans if play.watch else [], platform.read_histories(PROBLEM)
    runs = settings.home / "runs"
    timeline = build_timeline(SimulationOutcome(play.problem, play.months, alerts, rulings, earnings, runs, seconds))
    (runs / "timeline.html").write_text(render_timeline(timeline), encoding="utf-8")
    render_index(read_records(settings.home), runs / "index.html")
    terminal.show_timeline(timeline)
    terminal.show_earnings(earnings, len(play.months), seconds)
    terminal.show_pages(runs)


@contextmanager
def _own_home(settings: Settings) -> Iterator[Settings]:
    """Begin the simulation's home anew, and let every part live in it, by the simulation's clock and contract.

    Raises:
        PermanentError: another simulation lives there.
    """
    home = settings.home / "loop"
    _refuse_used(home)
    shutil.rmtree(home, ignore_errors=True)
    (home / "problems").mkdir(parents=True)
    changed = change_contract(read_contract(settings.problems / f"{PROBLEM}.yaml"))
    (home / "problems" / f"{PROBLEM}.yaml").write_text(changed)
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("TIDEMILL_")]:
        del os.environ[name]
    os.environ["TIDEMILL_HOME"] = str(home)
    os.environ["TIDEMILL_PROBLEMS"] = str(home / "problems")
    os.environ["TIDEMILL_CLOCK"] = str(home / "clock")
    os.environ["TIDEMILL_PREDICTION_LOG_SEGMENT_SECONDS"] = str(_SEGMENT_SECONDS)
    try:
        yield load_settings()
    finally:
        os.environ.clear()
        os.environ.update(before)


def _refuse_used(home: Path) -> None:
    """Raise a PermanentError when the object store of the home runs."""
    lock = home / "object-store" / "lock"
    if not lock.is_file():
        return
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PermanentError(f"{home}: no other simulation must run there, but one does. Wait.") from error
