"""The reports service, asked over HTTP, with a real object store behind it."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime

import httpx
import pytest

from components.base.adapters.s3 import ObjectStore
from components.base.run_records import write_record
from components.base.settings import S3Endpoint
from components.reports.library import Library, publish_release, publish_window
from components.reports.server import create_app
from tests.unit.base.test_run_records import make_run
from tests.unit.pages import Page

AS_OF = datetime(2013, 8, 1, tzinfo=UTC)
PROBLEM = "flight-delays"


@pytest.fixture
def pages(tmp_path):
    """Return a function that writes the folder of a step."""

    def write(summary, **files):
        folder = tmp_path / "pages"
        folder.mkdir(exist_ok=True)
        for name, text in files.items():
            (folder / name.replace("_", ".")).write_text(text)
        (folder / "summary.json").write_text(json.dumps({"as_of": AS_OF.isoformat(), **summary}))
        return folder

    return write


class Client:
    """Sends requests to the application in this process."""

    def __init__(self, store):
        self._transport = httpx.ASGITransport(create_app(Library(store, [PROBLEM])), raise_app_exceptions=False)

    def request(self, method, path):
        async def send():
            async with httpx.AsyncClient(transport=self._transport, base_url="http://reports") as client:
                return await client.request(method, path)

        return asyncio.run(send())

    def get(self, path):
        return self.request("GET", path)


@pytest.fixture
def client(store):
    return Client(store)


def publish_training(store, pages):
    summary = {"verdict": "promote", "deployment": "promoted", "model_version": "3", "verdict_in_words": "Promoted."}
    folder = pages(summary, report_html="<h1>release</h1>", card_md="# card", model_skops="no page")
    return publish_release(store, PROBLEM, AS_OF.isoformat(), "run-7", folder)


def test_the_home_page_links_every_report_and_each_link_answers(store, pages, client):
    publish_training(store, pages)
    publish_window(store, PROBLEM, AS_OF, pages({"headline": "All is well"}, daily_html="daily", kpi_html="kpi"))
    page = Page(client.get("/").text)
    links = [link for link in page.links if not link.startswith("#")]
    assert set(links) == {
        "flight-delays/reports/training/2013-08-01T000000-run-7/report.html",
        "flight-delays/reports/monitoring/2013-08-01T000000/daily.html",
        "flight-delays/reports/monitoring/2013-08-01T000000/kpi.html",
    }
    assert [client.get(f"/{link}").status_code for link in links] == [200] * len(links)
    assert (page.faults, page.open, page.loads) == ([], [], [])


def test_only_pages_and_their_summary_are_published_and_the_summary_last(store, pages):
    place = publish_training(store, pages)
    found = store.list_objects(f"{PROBLEM}/reports/")
    assert {entry.key.rpartition("/")[2] for entry in found} == {"report.html", "card.md", "summary.json"}
    times = {entry.key: entry.modified_at for entry in found}
    assert times[store.key(place)] == max(times.values())


def test_a_page_may_run_no_script_and_load_nothing(store, pages, client):
    publish_training(store, pages)
    answer = client.get("/flight-delays/reports/training/2013-08-01T000000-run-7/report.html")
    assert answer.text == "<h1>release</h1>"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_failed_runs_and_refreshes_are_listed_without_a_report(store, client):
    write_record(store, make_run(1, "training", status="failed", error="tune: 0 trials"))
    write_record(store, make_run(2, "refresh"))
    write_record(store, make_run(3, "monitoring"))
    text = client.get("/").text
    assert "2 runs" in text
    assert "tune: 0 trials" in text


def test_a_repeated_run_replaces_its_pages(store, pages, client):
    publish_window(store, PROBLEM, AS_OF, pages({"headline": "All is well"}, daily_html="old"))
    assert "All is well" in client.get("/").text
    publish_window(store, PROBLEM, AS_OF, pages({"headline": "It drifts"}, daily_html="new"))
    text = client.get("/").text
    assert "It drifts" in text
    assert "All is well" not in text


@pytest.mark.parametrize(
    "path",
    [
        "flight-delays/reports/training/2013/summary.json",
        "flight-delays/reports/training/2013/none.html",
        "flight-delays/models/training/2013/report.html",
        "flight-delays/reports/models/2013/report.html",
        "other/reports/training/2013/report.html",
        "flight-delays/reports/training/..%2f..%2fsecret/report.html",
    ],
)
def test_what_is_no_page_of_a_report_is_not_served(store, client, path):
    store.put_bytes("other/reports/training/2013/report.html", b"another team")
    store.put_bytes("flight-delays/secret/report.html", b"secret")
    assert client.get(f"/{path}").status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed(client, method):
    assert client.request(method, "/").status_code == 405


def test_a_summary_that_cannot_be_read_is_named(store, client):
    store.put_bytes(f"{PROBLEM}/reports/training/x/summary.json", b"{")
    answer = client.get("/")
    assert answer.status_code == 500
    assert f"{PROBLEM}/reports/training/x/summary.json: it must be JSON" in answer.text


def test_a_silent_store_is_explained_while_the_process_stays_alive():
    store = ObjectStore(S3Endpoint("http://127.0.0.1:9", "a", "b"), "tidemill", attempts=1)
    client = Client(store)
    answer = client.get("/")
    assert answer.status_code == 503
    assert "http://127.0.0.1:9" in answer.text
    assert client.get("/healthz").json() == {"status": "alive"}


def test_the_program_listens_on_loopback_and_ends_with_a_signal(store, store_settings, tmp_path):
    environment = {**store_settings.child_environment(), "PATH": "", "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "components.reports", "--port", "0"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            line = next(line for line in process.stderr if "listens on" in line)
            url = line.split("listens on ")[1].strip()
            assert url.startswith("http://127.0.0.1:")
            assert "No run yet" in httpx.get(url, trust_env=False).text
        finally:
            process.send_signal(signal.SIGTERM)
            started = time.monotonic()
            process.wait(timeout=20)
    assert time.monotonic() - started < 10
