"""The launcher for Kubeflow Pipelines, with the real client, against a small stand-in for the API server.

No cluster is at hand: the stand-in keeps experiments and runs in memory and answers the routes that the client calls,
with bodies of the shapes that the API has. What a real backend does with the pipeline is not shown here.
"""

import json
import threading
import urllib.parse
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from components.base.errors import PermanentError, SettingsError, TransientError
from components.base.settings import load_settings
from components.governor.launcher import RunReport
from pipelines.runners.kubeflow import KfpLauncher

AS_OF = datetime(2013, 10, 1, tzinfo=UTC)
IMAGE = {"TIDEMILL_IMAGE": "python-tidemill:1"}


class Api(ThreadingHTTPServer):
    """Experiments and runs, as /apis/v2beta1 keeps them."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.experiments, self.runs, self.refusal = [], [], None


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        if parts.path.endswith("/healthz"):
            return self.answer({"multi_user": False})
        kind = "experiments" if parts.path.endswith("/experiments") else "runs"
        kept = getattr(self.server, kind)
        wanted = [p["stringValue"] for p in json.loads(query.get("filter", '{"predicates": []}'))["predicates"]]
        return self.answer({kind: [one for one in kept if not wanted or one["display_name"] in wanted]})

    def do_POST(self):
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.refusal:
            return self.answer({"error": "no"}, self.server.refusal)
        kind, name = ("experiments", "experiment_id") if "experiments" in self.path else ("runs", "run_id")
        kept = getattr(self.server, kind)
        kept.append({**sent, name: f"{name}-{len(kept)}", **({"state": "PENDING"} if kind == "runs" else {})})
        return self.answer(kept[-1])

    def answer(self, body, status=200):
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


@pytest.fixture
def api(monkeypatch):
    with Api() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("KF_PIPELINES_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        yield server
        server.shutdown()


def launcher(outcome=("promoted", "7")):
    contracts = {"flight-delays": "name: flight-delays\n"}
    return KfpLauncher(contracts, load_settings(IMAGE), lambda problem, run_id: outcome)


def test_a_key_is_one_run_however_often_and_by_whomever_it_is_started(api):
    for _ in range(2):
        mine = launcher()
        mine.start("key-1", "flight-delays", AS_OF)
        mine.start("key-1", "flight-delays", AS_OF)
    launcher().start("key-2", "flight-delays", AS_OF)
    assert [run["display_name"] for run in api.runs] == ["key-1", "key-2"]
    assert [one["display_name"] for one in api.experiments] == ["flight-delays"]
    parameters = api.runs[0]["runtime_config"]["parameters"]
    assert parameters == {"contract": "name: flight-delays\n", "as_of": "2013-10-01T00:00:00+00:00"}
    spec = api.runs[0]["pipeline_spec"]
    assert "exec-evaluate" in json.dumps(spec)


@pytest.mark.parametrize(
    ("state", "report"),
    [
        ("PENDING", RunReport("running")),
        ("RUNNING", RunReport("running")),
        ("PAUSED", RunReport("running")),
        ("SUCCEEDED", RunReport("succeeded", "promoted", "7")),
    ],
)
def test_the_state_of_a_run_is_found_by_its_key(api, state, report):
    mine = launcher()
    mine.start("key-1", "flight-delays", AS_OF)
    api.runs[0]["state"] = state
    assert mine.find("key-1", "flight-delays") == report
    assert mine.find("key-2", "flight-delays") == RunReport("unknown")


def test_a_run_that_ended_badly_or_was_not_promoted_says_so(api):
    mine = launcher(("held", "8"))
    mine.start("key-1", "flight-delays", AS_OF)
    api.runs[0].update(state="FAILED", error={"code": 2, "message": "ingest failed."})
    assert mine.find("key-1", "flight-delays") == RunReport("failed", reasons=("ingest failed. Run id run_id-0.",))
    api.runs[0].update(state="SUCCEEDED")
    held = mine.find("key-1", "flight-delays")
    assert (held.state, held.outcome, held.version) == ("succeeded", "held", "8")


def test_an_api_that_is_away_is_tried_again_and_one_that_says_no_is_not(api, monkeypatch):
    mine = launcher()
    mine.start("key-1", "flight-delays", AS_OF)
    api.refusal = 503
    with pytest.raises(TransientError, match="answered 503"):
        mine.start("key-2", "flight-delays", AS_OF)
    api.refusal = 400
    with pytest.raises(PermanentError, match="answered 400"):
        mine.start("key-2", "flight-delays", AS_OF)
    assert [run["display_name"] for run in api.runs] == ["key-1"]
    monkeypatch.setenv("KF_PIPELINES_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(TransientError, match="must answer"):
        launcher().find("key-1", "flight-delays")


def test_runs_on_a_cluster_need_an_image():
    with pytest.raises(SettingsError, match="TIDEMILL_IMAGE must be set"):
        KfpLauncher({}, load_settings({}), lambda problem, run_id: ("held", None))
