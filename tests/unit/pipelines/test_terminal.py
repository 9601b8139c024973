"""The terminal shows the result of a training run from its summary."""

import io
import math
from pathlib import Path

from rich.console import Console

from components.base import documents
from components.reports.release.summary import ReleaseSummary, summarise
from pipelines.runners.terminal import Terminal
from tests.unit.reports.test_summary import material


def show(summary: ReleaseSummary) -> str:
    shown = io.StringIO()
    Terminal(Console(file=shown, width=200)).show_result(summary)
    return shown.getvalue()


def test_result_shows_failed_candidates_gates_and_verdict() -> None:
    shown = show(summarise(material()))
    for words in ("failed", "ran out of time", "endpoint_p99_milliseconds", "Version 3 is promoted", "USD per 1,000"):
        assert words in shown
    assert "too few rows" not in shown


def test_interval_without_bounds_is_shown_as_too_few_rows_after_a_round_trip(tmp_path: Path) -> None:
    summary = summarise(material())
    unknown = summary.scores[0].model_copy(update={"score_interval": (math.nan, math.nan)})
    documents.write(summary.model_copy(update={"scores": (unknown,)}), tmp_path / "summary.json")
    assert "too few rows" in show(documents.read(ReleaseSummary, tmp_path / "summary.json"))
