from components.watch.index import render_index


def record(name, started, **changed):
    return {"name": name, "problem": "flight-delays", "as_of": "2013-07-01T00:00:00+00:00", "status": "done",
            "started": started, "seconds": 99.0, "error": None, "report": None, "verdict": "promote", "currency": "USD",
            "verdict_in_words": "Version 3 is promoted.", "model_version": "3",
            "scores": [{"role": "challenger", "value": 61234.5}], **changed}  # fmt: skip


def test_index_lists_runs_newest_first_with_links(tmp_path):
    report = tmp_path / "new" / "report.html"
    report.parent.mkdir()
    report.write_text("x")
    records = [
        record("old", "2026-01-01T00:00:00+00:00"),
        record("new", "2026-02-01T00:00:00+00:00", report=str(report)),
    ]
    render_index(records, tmp_path / "index.html")
    page = (tmp_path / "index.html").read_text()
    assert '<a href="new/report.html">' in page
    assert page.index("2026-02-01") < page.index("2026-01-01")
    assert page.count("<a href") == 1
    assert "61,234 USD" in page


def test_index_shows_failed_runs_with_their_error(tmp_path):
    failed = {"name": "x", "problem": "p", "as_of": "2013-07-01T00:00:00+00:00", "status": "failed",
        "report": "/nowhere",
              "started": "2026-01-01T00:00:00+00:00", "seconds": 3.0, "error": "<b>tune</b> broke"}  # fmt: skip
    render_index([failed], tmp_path / "index.html")
    page = (tmp_path / "index.html").read_text()
    assert "&lt;b&gt;tune&lt;/b&gt; broke" in page
    assert 'class="pill bad">failed' in page


def test_index_without_runs_says_how_to_start_one(tmp_path):
    render_index([], tmp_path / "index.html")
    assert "make demo" in (tmp_path / "index.html").read_text()
