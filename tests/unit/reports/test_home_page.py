from components.base.local_run import LocalRun
from components.reports.history import build_history
from components.reports.home_page import list_models, render_index
from components.reports.write import DAILY, KPI, summarise_monitoring
from components.tasks import open_task
from tests.unit.monitoring import documents as docs
from tests.unit.pages import Page, text_of

HOSTILE = "<script>alert(1)</script>"


def record(name, started, **changed):
    fields = {"name": name, "problem": "flight-delays", "as_of": "2013-07-01T00:00:00+00:00", "status": "done",
              "started": started, "seconds": 99.0, "error": None, "report": None, "verdict": "promote",
              "verdict_in_words": "Version 3 is promoted.", "model_version": "3", "deployment": "promoted",
              "currency": "USD", "scores": [{"role": "challenger", "value": 61234.5}]}  # fmt: skip
    return LocalRun.model_validate({**fields, **changed})


def monitoring(folder, **changed):
    """Return the record of a monitoring run whose reports are in `folder`."""
    folder.mkdir()
    for name in (DAILY, KPI):
        (folder / name).write_text("x")
    summary = summarise_monitoring(build_history(open_task(docs.problem()), docs.story()[:6], docs.rulings()))
    fields = {"name": folder.name, "pipeline": "monitoring", "status": "done", "seconds": 7.3, "error": None,
              "started": "2026-03-01T06:00:00+00:00", "report": str(folder / "daily.html")}  # fmt: skip
    return LocalRun.model_validate({**summary.model_dump(), "as_of": summary.as_of.isoformat(), **fields, **changed})


def write(records, folder):
    render_index(records, folder / "index.html")
    return (folder / "index.html").read_text()


def test_index_lists_runs_newest_first_with_links(tmp_path):
    report = tmp_path / "new" / "report.html"
    report.parent.mkdir()
    report.write_text("x")
    records = [
        record("old", "2026-01-01T00:00:00+00:00", model_version=None),
        record("new", "2026-02-01T00:00:00+00:00", model_version=None, report=str(report)),
    ]
    page = write(records, tmp_path)
    assert page.index("1 February 2026, 00:00") < page.index("1 January 2026, 00:00")
    assert [link for link in Page(page).links if not link.startswith("#")] == ["new/report.html"]
    assert "61,234 USD" in page


def test_index_shows_failed_runs_with_their_error(tmp_path):
    failed = {"name": "x", "problem": "p", "as_of": "2013-07-01T00:00:00+00:00", "status": "failed",
              "report": "/nowhere", "started": "2026-01-01T00:00:00+00:00", "seconds": 3.0,
              "error": "<b>tune</b> broke"}  # fmt: skip
    for kind in ("training", "monitoring", "refresh"):
        page = write([LocalRun.model_validate({**failed, "pipeline": kind})], tmp_path)
        assert "&lt;b&gt;tune&lt;/b&gt; broke" in page
        assert 'class="pill bad">failed' in page


def test_index_without_runs_says_how_to_start_one(tmp_path):
    assert "make demo" in write([], tmp_path)


def test_index_links_both_reports_of_a_window_and_shows_its_numbers(tmp_path):
    page = write([monitoring(tmp_path / "m")], tmp_path)
    assert {"m/daily.html", "m/kpi.html"} <= set(Page(page).links)
    text = text_of(page)
    for words in ("1 January 2014", "not well", "30,043", "0.561", "-9,700 USD", "The ranking is below its limit"):
        assert words in text


def test_a_model_is_the_champion_until_the_next_one_of_its_problem():
    """Four releases: promoted, held, promoted for another problem, promoted."""
    records = [
        record("d", "4", as_of="2014-01-01T00:00:00+00:00", model_version="3"),
        record("c", "3", as_of="2013-10-01T00:00:00+00:00", model_version="1", problem="other"),
        record("b", "2", as_of="2013-09-01T00:00:00+00:00", model_version="2", deployment="kept"),
        record("a", "1", model_version="1"),
        record("failed", "0", model_version=None),
    ]
    models = list_models(records, lambda report: report)
    assert [(one["version"], one["state"], one["since"], one["until"]) for one in models] == [
        ("3", "champion", "2014-01-01T00:00:00+00:00", None),
        ("1", "champion", "2013-10-01T00:00:00+00:00", None),
        ("2", "not deployed", None, None),
        ("1", "replaced", "2013-07-01T00:00:00+00:00", "2014-01-01T00:00:00+00:00"),
    ]


def test_index_is_well_formed_loads_nothing_and_shows_hostile_text(tmp_path):
    records = [
        record("a", "2026-01-01T00:00:00+00:00", problem=HOSTILE, verdict_in_words=HOSTILE),
        monitoring(tmp_path / "m", headline=HOSTILE, numbers=[{"label": "Drift", "number": HOSTILE}]),
        record("r", "2026-01-02T00:00:00+00:00", pipeline="refresh", error=HOSTILE, verdict_in_words=None),
    ]
    page = Page(write(records, tmp_path))
    assert (page.faults, page.open, page.loads) == ([], [], [])
    assert "script" not in page.tags


def test_index_links_the_timeline_of_a_loop_that_was_played(tmp_path):
    records = [record("a", "2026-01-01T00:00:00+00:00")]
    assert "timeline.html" not in write(records, tmp_path)
    (tmp_path / "timeline.html").write_text("x")
    assert "timeline.html" in Page(write(records, tmp_path)).links
