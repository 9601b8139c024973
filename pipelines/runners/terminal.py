"""What a person sees of a run in the terminal: each step with time and counts, then the result or the error."""

import math
import sys

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.status import Status
from rich.table import Table

from components.base.text.wording import write_confidence
from components.reports.release.summary import ReleaseSummary
from pipelines.runners.kfp_log import StepRun, error_of

# Lines of a file are as wide as the tables need.
_FILE_WIDTH = 140
_MARKS = {"done": "[green]✓[/]", "reused": "[cyan]↺[/]", "failed": "[red]✗[/]"}


def open_console(file_width: int = _FILE_WIDTH) -> Console:
    """Return a console on the real standard output, as wide as the terminal, or as `file_width` where it is a file."""
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else file_width)


class Terminal:
    """Shows the steps of a run; a `StepListener`."""

    def __init__(self, console: Console) -> None:
        """Write to `console`, which must not be the stream that the run's log replaces."""
        self.console = console
        self._status: Status | None = None

    def step_started(self, step: StepRun) -> None:
        """Show the running step with a spinner (in a terminal only)."""
        self._status = self.console.status(f"{step.name} …", spinner_style="cyan")
        self._status.start()

    def step_progressed(self, step: StepRun) -> None:
        """Show what the running step says."""
        if self._status:
            self._status.update(f"{step.name}  [dim]{escape(step.message)}[/]")

    def step_finished(self, step: StepRun) -> None:
        """Replace the spinner by a line that stays."""
        if self._status:
            self._status.stop()
            self._status = None
        time = "reused" if step.status == "reused" else f"{step.seconds:.1f} s"
        line = f" {_MARKS[step.status]} {step.name:<12}{time:>8}  [dim]{escape(step.message)}[/]"
        self.console.print(line, no_wrap=True, overflow="ellipsis", crop=True, highlight=False)

    def show_title(self, problem: str, as_of: str, pipeline: str = "training") -> None:
        """Announce a run."""
        kind = "" if pipeline == "training" else f" {pipeline}"
        self.console.rule(f"[bold]{escape(problem)}[/]{kind} as of {escape(as_of)}", align="left")

    def show_failure(self, step: StepRun | None, log: str) -> None:
        """Show which step failed, why, where the log is and what to do next."""
        name, text = (step.name, error_of(step)) if step else ("run", "No step had started.")
        advice = "The next run resumes: steps with unchanged inputs and code are reused."
        body = f"{escape(text)}\n\nLog: {escape(log)}\n{advice}"
        self.console.print(Panel(body, title=f"[red]{name} failed", title_align="left", border_style="red"))

    def show_result(self, summary: ReleaseSummary) -> None:
        """Show the leaderboard, the verdict in words, the value and the gates."""
        self.console.print(_leaderboard(summary))
        self.console.print(_scores(summary))
        self.console.print(_gates(summary))
        self.console.print(Panel(escape(summary.verdict_in_words), title="Verdict", title_align="left"))
        if summary.cut_short:
            self.console.print(Panel(escape(summary.cut_short), border_style="yellow"))

    def show_next(self, report: str, commands: list[tuple[str, str]]) -> None:
        """Name the report and the commands that a person may want next."""
        self.console.print(f"Report: [bold]{escape(report)}[/]", soft_wrap=True, highlight=False)
        for command, purpose in commands:
            self.console.print(f"  [bold]{command:<34}[/] {purpose}", highlight=False)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=f"\n{title}", title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    return table


def _leaderboard(summary: ReleaseSummary) -> Table:
    metric = summary.primary_metric
    table = _table("Leaderboard (cross-validated in time order)", "candidate", metric, "± folds", "fit s", "")
    for row in summary.leaderboard:
        score = "failed" if row.score is None else f"{row.score:.4f}"
        spread = "" if row.spread is None else f"{row.spread:.4f}"
        table.add_row(row.name, score, spread, f"{row.fit_seconds:.1f}", row.note)
    return table


def _scores(summary: ReleaseSummary) -> Table:
    metric, currency = summary.primary_metric, summary.currency
    title = f"On the test rows ({write_confidence(summary.confidence).replace('%', ' %')} intervals)"
    table = _table(title, "who", metric, "interval", f"{currency} per 1,000 predictions", "interval")
    for row in summary.scores:
        table.add_row(row.name, f"{row.score:.4f}", _interval(row.score_interval, "{:.4f}"),
                      f"{row.value:,.0f}", _interval(row.value_interval, "{:,.0f}"))  # fmt: skip
    return table


def _interval(bounds: tuple[float, float], form: str) -> str:
    if any(math.isnan(bound) for bound in bounds):
        return "too few rows"
    return f"{form.format(bounds[0])} to {form.format(bounds[1])}"


def _gates(summary: ReleaseSummary) -> Table:
    table = Table(title="\nGates", title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    table.add_column("gate")
    table.add_column("verdict")
    table.add_column("reason")
    colours = {"pass": "green", "fail": "red", "hold": "yellow"}
    for gate in summary.gates:
        colour = colours.get(gate.verdict, "white")
        table.add_row(gate.name, f"[{colour}]{gate.verdict}[/]", escape(gate.reason))
    return table
