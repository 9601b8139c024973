"""The runner for Kubeflow Pipelines, with the real client, against a small stand-in for the API server.

No cluster is at hand: the stand-in keeps experiments and runs in memory and answers the routes that the client calls,
with bodies of the shapes that the API has. What a real backend does with the pipeline is not shown here.
"""

import json
import threading
import urllib.parse
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from components.base.contract.load import load_problem
from components.base.errors import PermanentError, SettingsError, TransientError
from components.base.runner import ListedRun, RecurringRun, RunReport, StepProgress
from components.base.settings import load_settings
from pipelines.runners.kubeflow import KubeflowRunner
from pipelines.runners.schedules import apply, list_wanted, plan_changes

AS_OF = datetime(2013, 10, 1, tzinfo=UTC)
CONTRACT = Path(__file__).parents[2] / "pipelines" / "problems" / "flight-delays.yaml"
IMAGE = {"TIDEMILL_IMAGE": "python-tidemill:1"}


class Api(ThreadingHTTPServer):
    """Experiments and runs, as /apis/v2beta1 keeps them."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.experiments, self.runs, self.recurringRuns, self.refusal = [], [], [], None


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        if parts.path.endswith("/healthz"):
            return self.answer({"multi_user": False})
        kind = parts.path.rpartition("/")[2].replace("recurringruns", "recurringRuns")
        if "/runs/" in parts.path:
            return self.answer(next(run for run in self.server.runs if run["run_id"] == kind))
        kept = [one for one in getattr(self.server, kind) if query.get("experiment_id") in (None, one["experiment_id"])]
        wanted = [p["stringValue"] for p in json.loads(query.get("filter", '{"predicates": []}'))["predicates"]]
        found = [one for one in kept if not wanted or one["display_name"] in wanted]
        # Pages of two, as the API has pages.
        start = int(query.get("page_token") or 0)
        following = {"next_page_token": str(start + 2)} if len(found) > start + 2 else {}
        return self.answer({kind: found[start : start + 2], **following})

    def do_DELETE(self):
        name = self.path.rpartition("/")[2]
        self.server.recurringRuns = [one for one in self.server.recurringRuns if one["recurring_run_id"] != name]
        return self.answer({})

    def do_POST(self):
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.refusal:
            return self.answer({"error": "no"}, self.server.refusal)
        names = {"experiments": "experiment_id", "recurringRuns": "recurring_run_id", "runs": "run_id"}
        kind = self.path.rpartition("/")[2].replace("recurringruns", "recurringRuns")
        name = names[kind]
        kept = getattr(self.server, kind)
        own = {"state": "PENDING", "created_at": f"2026-11-24T10:{len(kept):02}:00Z"} if kind == "runs" else {}
        own |= {"status": "ENABLED"} if kind == "recurringRuns" else {}
        kept.append({**sent, name: f"{name}-{len(kept)}", **own})
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


@pytest.fixture
def settings(tmp_path):
    for problem in ("flight-delays", "wine"):
        contract = CONTRACT.read_text().replace("\nname: flight-delays\n", f"\nname: {problem}\n")
        (tmp_path / f"{problem}.yaml").write_text(contract)
    return load_settings({**IMAGE, "TIDEMILL_PROBLEMS": str(tmp_path)})


@pytest.fixture
def runner(settings):
    def make(outcome=("promoted", "7")):
        return KubeflowRunner(settings, lambda problem, run_id: outcome, lambda run_id: "ingest failed. No flights.")

    return make


def test_a_key_is_one_run_however_often_and_by_whomever_it_is_started(api, runner):
    for _ in range(2):
        mine = runner()
        mine.start("key-1", "training", "flight-delays", AS_OF)
        mine.start("key-1", "training", "flight-delays", AS_OF)
    runner().start("key-2", "training", "flight-delays", AS_OF)
    assert [run["display_name"] for run in api.runs] == ["key-1", "key-2"]
    assert [one["display_name"] for one in api.experiments] == ["flight-delays"]
    parameters = api.runs[0]["runtime_config"]["parameters"]
    assert parameters == {"problem": "flight-delays", "as_of": "2013-10-01T00:00:00+00:00"}
    assert api.runs[0]["service_account"] == "tidemill-steps"
    spec, platform = api.runs[0]["pipeline_spec"]["pipeline_spec"], api.runs[0]["pipeline_spec"]["platform_spec"]
    assert "tidemill-settings" in json.dumps(platform)
    assert "exec-evaluate" in json.dumps(spec)
    executors = spec["deploymentSpec"]["executors"].values()
    assert {one["container"]["image"] for one in executors} == {IMAGE["TIDEMILL_IMAGE"]}


@pytest.mark.parametrize(("pipeline", "step"), [("refresh", "exec-materialize"), ("monitoring", "exec-monitor")])
def test_every_pipeline_can_be_started(api, runner, pipeline, step):
    mine = runner()
    mine.start("key-1", pipeline, "wine", AS_OF)
    assert step in json.dumps(api.runs[0]["pipeline_spec"])
    api.runs[0]["state"] = "SUCCEEDED"
    assert mine.find("key-1", "wine") == RunReport("succeeded")


def test_runs_are_listed_by_their_start_of_one_problem_or_of_all(api, runner):
    mine = runner()
    mine.start("key-1", "training", "flight-delays", AS_OF)
    mine.start("key-2", "refresh", "wine", AS_OF)
    mine.start("key-3", "monitoring", "wine", AS_OF)
    mine.start("key-4", "refresh", "wine", AS_OF)
    api.runs[0].update(state="FAILED", finished_at="2026-11-24T10:05:00Z")
    failed, *others = mine.list_runs()
    started = datetime(2026, 11, 24, 10, tzinfo=UTC)
    assert failed == ListedRun(
        "key-1", "training", "flight-delays", AS_OF.isoformat(), "failed", started, seconds=300.0
    )
    assert [(run.key, run.pipeline, run.state) for run in others] == [
        ("key-2", "refresh", "running"),
        ("key-3", "monitoring", "running"),
        ("key-4", "refresh", "running"),
    ]
    assert mine.list_runs("wine") == others
    api.runs[1]["runtime_config"]["parameters"].pop("as_of")
    api.runs[1]["scheduled_at"] = "2026-11-24T05:00:00Z"
    assert mine.list_runs("wine")[0].as_of == "2026-11-24T05:00:00+00:00"
    assert mine.list_runs("unknown") == []


def test_recurring_runs_are_listed_with_their_cron_line(api, runner):
    mine = runner()
    mine.start("key-1", "training", "flight-delays", AS_OF)
    cron = {"cron_schedule": {"cron": "0 0 5 * * *"}}
    common = {"experiment_id": "experiment_id-0", "status": "ENABLED"}
    api.recurringRuns += [
        {**common, "display_name": "refresh daily", "trigger": cron},
        {**common, "display_name": "monitoring daily", "trigger": cron, "status": "DISABLED"},
        {**common, "display_name": "every hour", "trigger": {"periodic_schedule": {"interval_second": "3600"}}},
    ]
    expected = [
        RecurringRun("refresh daily", "flight-delays", "0 0 5 * * *", is_enabled=True),
        RecurringRun("monitoring daily", "flight-delays", "0 0 5 * * *", is_enabled=False),
    ]
    assert mine.list_schedules() == mine.list_schedules("flight-delays") == expected
    assert mine.list_schedules("wine") == []


def test_schedules_are_created_replaced_and_deleted_until_they_are_those_of_the_contracts(api, runner):
    mine, problem = runner(), load_problem(CONTRACT)
    api.experiments.append({"experiment_id": "experiment_id-0", "display_name": "flight-delays"})
    by_a_person = {
        "recurring_run_id": "person-1",
        "experiment_id": "experiment_id-0",
        "display_name": "flight-delays-refresh",
        "status": "ENABLED",
        "trigger": {"cron_schedule": {"cron": "0 0 9 * * *"}},
    }
    api.recurringRuns.append(by_a_person)
    prints = {"refresh": "r1", "monitoring": "m1"}
    for _ in range(2):
        changes = plan_changes(list_wanted([problem], prints), mine.list_schedules())
        made = list(apply(changes, mine))
    assert made == []
    assert [one["display_name"] for one in api.recurringRuns] == [
        "flight-delays-refresh",
        "flight-delays-monitoring",
        "flight-delays-refresh",
    ]
    refresh = api.recurringRuns[-1]
    assert refresh["trigger"] == {"cron_schedule": {"cron": "0 0 5 * * *"}}
    assert refresh["runtime_config"]["parameters"] == {"problem": "flight-delays"}
    assert (refresh["no_catchup"], refresh["max_concurrency"], refresh["service_account"]) == (
        True,
        1,
        "tidemill-steps",
    )

    # KFP forgets with a recurring run what it started last.
    mine.start("scheduled", "refresh", "flight-delays", AS_OF)
    api.runs[0].update(recurring_run_id="gone", scheduled_at="2026-11-24T05:00:00Z")
    api.runs[0]["runtime_config"]["parameters"].pop("as_of")
    changes = plan_changes(list_wanted([problem], prints | {"refresh": "r2"}), mine.list_schedules())
    assert [(one.action, one.schedule.name) for one in apply(changes, mine)] == [("replace", "flight-delays-refresh")]
    trigger = api.recurringRuns[-1]["trigger"]["cron_schedule"]
    assert trigger == {"cron": "0 0 5 * * *", "start_time": "2026-11-24T05:00:00Z"}
    assert plan_changes(list_wanted([problem], prints | {"refresh": "r2"}), mine.list_schedules()) == []
    list(apply(plan_changes([], mine.list_schedules()), mine))
    assert api.recurringRuns == [by_a_person]


def test_the_steps_of_a_run_are_shown_with_state_and_page(api, runner):
    mine = runner()
    mine.start("key-1", "refresh", "flight-delays", AS_OF)
    started = "2026-11-24T10:00:00Z"
    times = {"create_time": started, "start_time": started, "end_time": "0001-01-01T00:00:00Z"}
    details = [
        {"display_name": "validate", "state": "RUNNING", **times, "create_time": "2026-11-24T10:01:00Z"},
        {"display_name": "ingest", "state": "SUCCEEDED", **times, "end_time": "2026-11-24T10:00:42Z"},
        {"display_name": "ingest-driver", "state": "SUCCEEDED", **times},
        {"display_name": "build", **times},
    ]
    api.runs[0].update(state="RUNNING", run_details={"task_details": details})
    progress = mine.read_progress("key-1", "flight-delays")
    assert progress.report == RunReport("running")
    assert progress.steps == (StepProgress("ingest", "succeeded", 42.0), StepProgress("validate", "running"))
    assert progress.url is not None
    assert progress.url.endswith("/#/runs/details/run_id-0")
    assert mine.read_progress("key-2", "flight-delays").report == RunReport("unknown")


def node(state, start, end=None, name="tune"):
    end = f"2026-11-24T10:{end}Z" if end else "0001-01-01T00:00:00Z"
    start = f"2026-11-24T10:{start}Z"
    return {"display_name": name, "state": state, "create_time": start, "start_time": start, "end_time": end}


@pytest.mark.parametrize(
    ("nodes", "state", "seconds"),
    [
        ([node("SUCCEEDED", "00:00", "01:00"), node("RUNNING", "00:01")], "running", None),
        ([node("SUCCEEDED", "00:00", "01:00"), node("SUCCEEDED", "00:01", "02:00")], "succeeded", 120.0),
        ([node("FAILED", "00:00", "01:00"), node("RUNNING", "00:01")], "failed", None),
        ([node("FAILED", "00:00", "01:00"), node("RUNNING", "01:05")], "running", None),
        ([node("FAILED", "00:00", "01:00"), node("CACHED", "01:05", "01:15")], "succeeded", 10.0),
    ],
    ids=["one still runs", "both ended", "one failed", "repeated", "repeated and ended"],
)
def test_the_step_of_a_loop_is_one_step_that_ends_with_its_last_node(api, runner, nodes, state, seconds):
    mine = runner()
    mine.start("key-1", "training", "flight-delays", AS_OF)
    api.runs[0].update(state="RUNNING", run_details={"task_details": nodes})
    assert mine.read_progress("key-1", "flight-delays").steps == (StepProgress("tune", state, seconds),)


def test_a_run_that_succeeded_has_so_where_the_registry_is_out_of_reach(api, settings):
    def fail(*_):
        raise PermanentError("registry: it must answer.")

    mine = KubeflowRunner(settings, fail, fail)
    mine.start("key-1", "training", "flight-delays", AS_OF)
    for state, expected in (("SUCCEEDED", "succeeded"), ("FAILED", "failed")):
        api.runs[0]["state"] = state
        report = mine.read_progress("key-1", "flight-delays").report
        assert (report.state, report.outcome) == (expected, None)
        assert "registry: it must answer." in report.reasons[0]


def test_the_schedules_of_another_installation_are_left_alone(api, settings):
    problem, prints = load_problem(CONTRACT), {"refresh": "r1", "monitoring": "m1"}
    for namespace in ("team-a", "team-b"):
        team = settings.model_copy(update={"endpoint_namespace": namespace})
        mine = KubeflowRunner(team, lambda *_: ("held", None), str)
        list(apply(plan_changes(list_wanted([problem], prints), mine.list_schedules()), mine))
    assert len(api.recurringRuns) == 4
    assert list(apply(plan_changes([], mine.list_schedules()), mine))
    assert ["team-a" in one["description"] for one in api.recurringRuns] == [True, True]


@pytest.mark.parametrize(
    ("state", "report"),
    [
        ("PENDING", RunReport("running")),
        ("RUNNING", RunReport("running")),
        ("PAUSED", RunReport("running")),
        ("SUCCEEDED", RunReport("succeeded", "promoted", "7")),
    ],
)
def test_the_state_of_a_run_is_found_by_its_key(api, runner, state, report):
    mine = runner()
    mine.start("key-1", "training", "flight-delays", AS_OF)
    api.runs[0]["state"] = state
    assert mine.find("key-1", "flight-delays") == report
    assert mine.find("key-2", "flight-delays") == RunReport("unknown")


def test_a_run_that_ended_badly_or_was_not_promoted_says_so(api, runner):
    mine = runner(("held", "8"))
    mine.start("key-1", "training", "flight-delays", AS_OF)
    api.runs[0].update(state="FAILED")
    reason = "ingest failed. No flights. Run id run_id-0."
    assert mine.find("key-1", "flight-delays") == RunReport("failed", reasons=(reason,))
    api.runs[0].update(state="CANCELED")
    assert mine.find("key-1", "flight-delays").reasons == ("It was canceled. Run id run_id-0.",)
    api.runs[0].update(state="SUCCEEDED")
    held = mine.find("key-1", "flight-delays")
    assert (held.state, held.outcome, held.version) == ("succeeded", "held", "8")


def test_an_api_that_is_away_is_tried_again_and_one_that_says_no_is_not(api, runner, monkeypatch):
    mine = runner()
    mine.start("key-1", "training", "flight-delays", AS_OF)
    api.refusal = 503
    with pytest.raises(TransientError, match="answered 503"):
        mine.start("key-2", "training", "flight-delays", AS_OF)
    api.refusal = 400
    with pytest.raises(PermanentError, match="answered 400"):
        mine.start("key-2", "training", "flight-delays", AS_OF)
    assert [run["display_name"] for run in api.runs] == ["key-1"]
    monkeypatch.setenv("KF_PIPELINES_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(TransientError, match="must answer"):
        runner().find("key-1", "flight-delays")


def test_runs_on_a_cluster_need_an_image():
    with pytest.raises(SettingsError, match="TIDEMILL_IMAGE must be set"):
        KubeflowRunner(load_settings({}), lambda problem, run_id: ("held", None), str)
