"""What a person sees of a simulation in the terminal: each month as it passes, then all of it in one table.

In: what `simulation` produces. Out: lines. Extends the terminal of single runs; steps are shown only while they run.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from components.base.local_run import LocalRun
from components.base.text.wording import write_count, write_score
from components.governor.rule import IN_FLIGHT
from components.governor.rulings import RulingRecord
from components.monitoring.results import MonitoringResult
from components.reports.release.summary import ReleaseSummary
from pipelines.runners.kfp_log import StepRun
from pipelines.runners.terminal import Terminal
from pipelines.simulation.alert_watch import AlertSpan
from pipelines.simulation.retraining_value import RetrainingValue
from pipelines.simulation.scenario import INCIDENTS
from pipelines.simulation.timeline import Timeline, TimelineMonth
from pipelines.simulation.traffic import TrafficCounts

# Mark, name and time of an entry; its text takes the rest.
_COLUMNS: tuple[tuple[int, Literal["left", "right"]], ...] = ((2, "right"), (11, "left"), (6, "right"))
_CHOICES = {"run": "green", "hold": "yellow", "escalate": "red"}


class SimulationTerminal(Terminal):
    """Shows a simulation."""

    def __init__(self, console: Console) -> None:
        """Write to `console`."""
        super().__init__(console)
        self._rulings: dict[int, tuple[str, str]] = {}
        self._released: set[str] = set()

    def step_finished(self, step: StepRun) -> None:  # noqa: ARG002 - the interface is the listener's
        """Leave no line for a step of a pipeline."""
        if self._status:
            self._status.stop()
            self._status = None

    def show_title(self, problem: str, as_of: str, pipeline: str = "training") -> None:
        """Leave the titles to the months."""

    def show_platform(self, addresses: Mapping[str, str]) -> None:
        """Show what runs, and where."""
        self._line("✓", "green", "platform", ", ".join(f"{name} {url}" for name, url in addresses.items()))

    def show_month(self, month: str) -> None:
        """Announce a month and what is injected in it."""
        self.console.rule(f"[bold]{month}", align="left")
        for incident in INCIDENTS:
            if f"{incident.start:%B %Y}" == month:
                self._line("≈", "magenta", "injected", f"{incident.title}. {incident.text}", f"{incident.start:%d %b}")

    def show_run(self, record: LocalRun, text: str = "") -> None:
        """Show that a pipeline has ended."""
        self._line("✓", "green", record.pipeline, text, f"{record.seconds:.0f} s")

    def show_traffic(self, answered: TrafficCounts, seconds: float) -> None:
        """Show what was sent and answered."""
        failed = f", {answered.failed} not answered" if answered.failed else ""
        text = f"{write_count(answered.rows)} flights in {write_count(answered.requests)} requests{failed}"
        self._line("✓", "green", "traffic", text, f"{seconds:.0f} s")

    def show_result(self, summary: ReleaseSummary) -> None:
        """Leave the leaderboard to the report."""

    def show_monitoring(self, result: MonitoringResult, record: LocalRun) -> None:
        """Show what the monitoring found."""
        self.show_run(record, describe_result(result))
        for finding in result.findings:
            if finding.severity != "note":
                colour = "red" if finding.severity == "critical" else "yellow"
                self._line("!", colour, finding.topic, finding.title)

    def show_alert(self, span: AlertSpan) -> None:
        """Show that an alert fires or has cleared."""
        time = f"{span.cleared_at or span.fired_at:%d %b}"
        if span.is_firing:
            severity = span.alert.labels.get("severity", "")
            self._line("▲", "red", "alert", f"{span.alert.title} fires ({severity}): {span.alert.summary}", time)
        else:
            self._line("▽", "green", "alert", f"{span.alert.title} has cleared", time)

    def show_rulings(self, rulings: Sequence[RulingRecord]) -> None:
        """Show the rulings that are new or have changed."""
        for one in sorted(rulings, key=lambda ruling: ruling.id):
            run = one.run
            state = (one.choice, run.state if run else "")
            if one.decided_at and self._rulings.get(one.id) != state:
                self._rulings[one.id] = state
                colour = _CHOICES.get(one.choice, "white")
                self._line("●", colour, "governor", f"{one.name}: {one.choice}: {one.words}")
                if run and run.state not in IN_FLIGHT and run.key not in self._released:
                    self._released.add(run.key)
                    self._line("★", "cyan", "release", f"{run.state}. {' '.join(run.reasons)}")

    def show_dashboards(self, text: str) -> None:
        """Show whether every query of the dashboards has an answer."""
        self._line("✓", "green", "dashboards", text)

    def show_timeline(self, timeline: Timeline) -> None:
        """Show the whole in one table, one row a month."""
        table = Table(title="\nThe half year", title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
        for column in ("month", "flights", "model", "drift × limit", timeline.metric, "served", "first model", "rule"):
            table.add_column(column, justify="left" if column == "month" else "right", no_wrap=True)
        table.add_column("alerts")
        table.add_column("rulings")
        for month in timeline.months:
            earned = (write_count(one) for one in (month.value, month.frozen_value, month.current_value))
            judged = (write_score(month.drift, 1), write_score(month.score))
            table.add_row(
                f"{month.start:%b %Y}",
                write_count(month.rows),
                month.model_version,
                *judged,
                *earned,
                _name_events(timeline, month, "alert_fired"),
                _name_events(timeline, month, "ruling", "release"),
            )
        self.console.print(table)

    def show_earnings(self, earnings: RetrainingValue, months: int, seconds: float) -> None:
        """Show what retraining has earned."""
        self.console.print(f"\n{earnings.words}\n", highlight=False)
        self.console.print(f"{months} months in {seconds:.0f} s")

    def show_pages(self, folder: Path) -> None:
        """Name the pages to read."""
        shown = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
        for page, purpose in (("timeline.html", "the half year on one page"), ("index.html", "all reports and models")):
            self.console.print(f"[bold]{escape(str(shown / page))}[/]  {purpose}", soft_wrap=True, highlight=False)

    def _line(self, mark: str, colour: str, name: str, text: str, time: str = "") -> None:
        """Print one entry; a long text goes on below itself."""
        line = Table.grid(padding=(0, 1))
        for width, justify in _COLUMNS:
            line.add_column(width=width, justify=justify)
        line.add_column(overflow="fold")
        line.add_row(f"[{colour}]{mark}[/]", name, time, f"[dim]{escape(text)}[/]")
        self.console.print(line, highlight=False)


def describe_result(result: MonitoringResult) -> str:
    """Format in one line what a monitoring run found."""
    labels = f"{write_count(result.labels.labelled)} of {write_count(result.labels.due)} due labels"
    if result.performance is None:
        return f"{write_count(result.traffic.rows)} rows, {labels}, too few to judge"
    score = result.performance.scores[result.performance.limit_metric]
    return (
        f"{write_count(result.traffic.rows)} rows, {labels}; {result.performance.limit_metric} "
        f"{write_score(score.estimate)} ({write_score(score.low)} to {write_score(score.high)})"
    )


def _name_events(timeline: Timeline, month: TimelineMonth, *kinds: str) -> str:
    """Name the events of some kinds in a month, each once."""
    return ", ".join(dict.fromkeys(event.title for event in timeline.events_of(month) if event.kind in kinds))
