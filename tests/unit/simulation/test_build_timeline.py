"""The timeline tells what was played: months, alerts, rulings with their history, releases, earnings."""

import io
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from components.base.contract.load import load_problem
from components.base.local_run import LocalRun
from components.base.settings import load_settings
from components.governor.rulings import RulingRecord
from pipelines.simulation.alert_watch import AlertSpan
from pipelines.simulation.build_timeline import SimulationOutcome, build_timeline
from pipelines.simulation.observers import ActiveAlert
from pipelines.simulation.retraining_value import MonthValue, RetrainingValue
from pipelines.simulation.scenario import FIRST_RELEASE, INCIDENTS, MONTH_ENDS
from pipelines.simulation.simulated_month import SimulatedMonth
from pipelines.simulation.simulation_terminal import SimulationTerminal
from pipelines.simulation.timeline import pair_alerts
from pipelines.simulation.timeline_page import render_timeline
from pipelines.simulation.traffic import TrafficCounts
from tests.unit.monitoring.documents import concept_shift, healthy, ruling
from tests.unit.pages import assert_stands_alone, text_of

PROBLEM = load_problem(load_settings({}).problems / "flight-delays.yaml")
KEY = "flight-delays-alert-1"
SEPTEMBER = datetime(2013, 9, 1, tzinfo=UTC)
RULING = RulingRecord.model_validate({
    **ruling(1, "2013-09-01T00:00:00+00:00", name="PerformanceBelowLimit", choice="run", reason="worth_it",
             words="It must be silent by 15 November.").model_dump(),
    "history": [
        {"at": at, "recorded_at": at, "choice": choice, "reason": "worth_it", "words": words}
        for at, choice, words in (
            ("2013-09-01T00:00:00+00:00", "hold", "58,544 of 60,000 new labels have come."),
            ("2013-10-01T00:00:00+00:00", "run", "PerformanceBelowLimit fires."),
            ("2013-10-01T00:00:00+00:00", "run", "It must be silent by 15 November."),
        )
    ],
    "run": {
        "key": KEY,
        "state": "promoted",
        "version": "2",
        "as_of": "2013-10-01T00:00:00+00:00",
        "planned_at": "2013-10-01T00:00:00+00:00",
        "ended_at": "2013-10-01T00:00:00+00:00",
        "reasons": ["All 7 gates are passed."],
    },
})  # fmt: skip
WAITING = ruling(
    2, "2013-09-01T00:00:00+00:00", name="ValueBelowLimit", choice="received", reason="received", words="",
    decided_at=None,
)  # fmt: skip


def month(number: int, result, version: str) -> SimulatedMonth:
    start = FIRST_RELEASE if number == 0 else MONTH_ENDS[number - 1]
    record = LocalRun(
        name=f"monitoring-{number}", pipeline="monitoring", problem=PROBLEM.name, as_of="", status="done", started="",
        seconds=9.0,
    )  # fmt: skip
    return SimulatedMonth(start, MONTH_ENDS[number], TrafficCounts(10, 1000 + number, 0), result, version, record)


def alert(title: str, **labels: str) -> ActiveAlert:
    return ActiveAlert(title, "firing", {"severity": "ticket", **labels}, "2026-11-24T11:00:00Z", f"{title} is bad")


@pytest.fixture
def timeline(tmp_path: Path):
    months = [month(0, healthy()[0], "1"), month(1, concept_shift(), "1"), month(2, concept_shift(), "1")]
    months.append(month(3, healthy()[1], "2"))
    (tmp_path / KEY).mkdir()
    (tmp_path / KEY / "report.html").touch()
    (tmp_path / "monitoring-1").mkdir()
    (tmp_path / "monitoring-1" / "daily.html").touch()
    earned = tuple(
        MonthValue(one.start, 1000, served, frozen, 100.0, 0.5)
        for one, served, frozen in zip(months, (900.0, 300.0, -50.0, 800.0), (900.0, 300.0, -50.0, 70.0), strict=True)
    )
    alerts = [
        AlertSpan(alert("PerformanceBelowLimit"), SEPTEMBER, datetime(2013, 11, 1, tzinfo=UTC)),
        AlertSpan(alert("LatencyBudgetBurn", window="1h"), datetime(2013, 10, 9, 5, tzinfo=UTC)),
    ]
    earnings = RetrainingValue("USD", earned)
    return build_timeline(SimulationOutcome(PROBLEM, months, alerts, [RULING, WAITING], earnings, tmp_path, 430.0))


def events(timeline, kind: str) -> list[tuple[datetime, str]]:
    return [(event.at, event.title) for event in timeline.ordered if event.kind == kind]


def test_retraining_earned_what_was_served_beyond_the_frozen_model(timeline):
    assert (timeline.totals.served, timeline.totals.frozen, timeline.totals.current) == (1950.0, 1220.0, 400.0)
    assert timeline.totals.retraining_earned == 730.0


def test_months_hold_the_judgement_of_their_window_and_the_version_that_served(timeline):
    result = concept_shift()
    august = timeline.months[1]
    assert (august.rows, august.model_version, august.frozen_score) == (1001, "1", 0.5)
    metric = result.performance.limit_metric
    assert (august.score, august.score_limit) == (result.performance.scores[metric].estimate, result.performance.limit)
    assert [link.address for link in august.links] == ["monitoring-1/daily.html"]
    assert timeline.months[3].model_version == "2"


def test_alerts_are_told_from_fired_to_cleared_each_window_by_itself(timeline):
    spans = [(span.title, span.end) for span in pair_alerts(timeline)]
    assert spans == [
        ("PerformanceBelowLimit", datetime(2013, 11, 1, tzinfo=UTC)),
        ("LatencyBudgetBurn (1h)", None),
    ]


def test_every_change_of_a_ruling_is_told_without_saying_it_twice(timeline):
    assert events(timeline, "ruling") == [
        (SEPTEMBER, "hold: PerformanceBelowLimit"),
        (datetime(2013, 10, 1, tzinfo=UTC), "run: PerformanceBelowLimit"),
    ]
    (held, _) = [event for event in timeline.ordered if event.kind == "ruling"]
    assert held.text == "58,544 of 60,000 new labels have come."


def test_release_links_its_report(timeline):
    (release,) = [event for event in timeline.ordered if event.kind == "release"]
    assert (release.title, release.link) == ("Version 2 promoted", f"{KEY}/report.html")


def test_only_incidents_that_were_simulated_are_listed(timeline):
    played = [(incident.start, incident.title) for incident in INCIDENTS if incident.start < MONTH_ENDS[3]]
    assert events(timeline, "injected") == played
    assert len(played) == 2


def test_page_of_the_replay_stands_alone_and_names_the_city_as_it_is_written(timeline):
    html = render_timeline(timeline)
    assert_stands_alone(html)
    assert "Half a year of flight delays out of New York" in text_of(html)
    assert "Retraining earned 730 USD" in text_of(html)


def test_terminal_shows_one_row_a_month_with_alerts_and_rulings(timeline):
    output = io.StringIO()
    SimulationTerminal(Console(file=output, width=200)).show_timeline(timeline)
    rows = [line for line in output.getvalue().splitlines() if re.match(r"\w{3} 2013", line.strip())]
    assert [row.split()[0] for row in rows] == ["Jul", "Aug", "Sep", "Oct"]
    assert "PerformanceBelowLimit" in rows[1]
    assert "run: PerformanceBelowLimit, Version 2 promoted" in rows[2]
    assert "LatencyBudgetBurn (1h)" in rows[3]


def test_terminal_shows_a_ruling_once_until_it_changes_and_its_release_once():
    output = io.StringIO()
    terminal = SimulationTerminal(Console(file=output, width=200))
    running = RULING.model_copy(update={"run": RULING.run.model_copy(update={"state": "running"})})
    for rulings in ([WAITING, running], [running], [RULING], [RULING]):
        terminal.show_rulings(rulings)
    lines = output.getvalue().splitlines()
    assert [line.split()[1] for line in lines] == ["governor", "governor", "release"]
    assert "promoted. All 7 gates are passed." in lines[-1]
