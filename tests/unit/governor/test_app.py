"""The governor's HTTP face: who may come in, how much may come in, and what the answers promise."""

import asyncio
import hashlib
import hmac
import json
import time

import httpx
import pytest

from components.base.settings import load_settings
from components.governor.archive import Archive
from components.governor.server import assemble
from tests.unit.governor.world import CONTRACT, MemoryRunner, result

TOKEN = "0123456789abcdef-token"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
ALERTS = "/v1/webhooks/alertmanager"
LABELS = {"alertname": "ValueBelowLimit", "problem": "flight-delays", "action": "retrain"}
ALERT = {"status": "firing", "labels": LABELS, "startsAt": "2026-11-22T23:00:00Z", "fingerprint": "c6ea"}


class Client:
    """Asks the app from an address, without a network."""

    def __init__(self, app, address="127.0.0.1"):
        self.transport = httpx.ASGITransport(app, client=(address, 5))

    def ask(self, method, path, **arguments):
        async def send():
            async with httpx.AsyncClient(transport=self.transport, base_url="http://governor") as client:
                return await client.request(method, path, **arguments)

        return asyncio.run(send())

    def get(self, path, **arguments):
        return self.ask("GET", path, **arguments)

    def post(self, path, **arguments):
        return self.ask("POST", path, **arguments)


def settings(folder, **variables):
    return load_settings({"TIDEMILL_HOME": str(folder), **variables})


@pytest.fixture
def governor(tmp_path):
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    known = settings(tmp_path, TIDEMILL_GOVERNOR_TOKEN_FILE=str(tmp_path / "token"))
    return assemble(known, {"flight-delays": CONTRACT}, MemoryRunner(), lambda _: result(30_000))


@pytest.fixture
def client(governor):
    return Client(governor.app)


def body(*alerts, **fields):
    return json.dumps({"version": "4", "alerts": list(alerts), **fields})


def test_each_alert_is_answered_with_what_became_of_it(client):
    blind = {**ALERT, "labels": {**LABELS, "alertname": "DatasourceNoData"}}
    answer = client.post(ALERTS, headers=BEARER, content=body(ALERT, ALERT, blind, truncatedAlerts=4))
    assert (answer.status_code, answer.json()) == (
        200,
        {"results": {"accepted": 1, "duplicate": 1, "no_data": 1}, "truncated": 4},
    )
    text = client.get("/metrics").text
    assert 'tidemill_governor_alerts_received_total{result="no_data"} 1.0' in text
    assert 'tidemill_governor_alerts_received_total{result="truncated"} 4.0' in text


def test_a_webhook_without_its_secret_is_closed_not_open(tmp_path):
    governor = assemble(settings(tmp_path), {"flight-delays": CONTRACT}, MemoryRunner(), lambda _: None)
    client = Client(governor.app)
    for path in (ALERTS, "/v1/webhooks/grafana", "/v1/problems/flight-delays/runs"):
        answer = client.post(path, headers=BEARER, content=body(ALERT))
        assert answer.status_code == 503
        assert "_FILE must name a file with a secret, but is unset" in answer.json()["error"]
    assert client.get("/v1/rulings").json() == []


@pytest.mark.parametrize(
    ("content", "headers", "status", "words"),
    [
        (body(ALERT), {}, 401, "must be `Bearer <token>`"),
        (body(ALERT), {"Authorization": "Bearer wrong"}, 401, "must be `Bearer <token>`"),
        ("x" * (2**20 + 1), BEARER, 413, "at most 1048576 bytes"),
        ("x" * 2**20, BEARER, 400, "the body must be JSON"),
        (body(ALERT, version="1"), BEARER, 400, "`version` must be '4' for alertmanager, but got '1'"),
    ],
)
def test_a_refused_notification_is_answered_with_the_reason(client, content, headers, status, words):
    answer = client.post(ALERTS, headers=headers, content=content)
    assert answer.status_code == status
    assert words in answer.json()["error"]
    assert client.get("/v1/rulings").json() == []
    assert 'tidemill_governor_alerts_received_total{result="refused"} 1.0' in client.get("/metrics").text


def test_a_sender_that_ends_its_alert_does_not_end_that_of_another(tmp_path):
    """Both may hash the same labels to the same fingerprint, and know nothing of each other."""
    (tmp_path / "secret").write_text(TOKEN)
    names = ("TIDEMILL_GOVERNOR_TOKEN_FILE", "TIDEMILL_GOVERNOR_HMAC_FILE")
    known = settings(tmp_path, **dict.fromkeys(names, str(tmp_path / "secret")))
    governor = assemble(known, {"flight-delays": CONTRACT}, MemoryRunner(), lambda _: result(30_000))
    client = Client(governor.app)
    assert client.post(ALERTS, headers=BEARER, content=body(ALERT)).json()["results"] == {"accepted": 1}
    for status, told in (("firing", "accepted"), ("resolved", "cleared")):
        raw = body({**ALERT, "status": status, "startsAt": "2026-11-23T00:00:00Z"}, version="1")
        answer = client.post("/v1/webhooks/grafana", headers=sign(raw), content=raw)
        assert answer.json()["results"] == {told: 1}
    assert client.post(ALERTS, headers=BEARER, content=body(ALERT)).json()["results"] == {"duplicate": 1}


def sign(raw):
    timestamp = str(int(time.time()))
    digits = hmac.new(TOKEN.encode(), f"{timestamp}:{raw}".encode(), hashlib.sha256).hexdigest()
    return {"X-Grafana-Alerting-Timestamp": timestamp, "X-Grafana-Alerting-Signature": digits}


def test_a_number_that_makes_no_sense_costs_no_alert_and_no_ruling(governor, client):
    answer = client.post(ALERTS, headers=BEARER, content=body(ALERT, truncatedAlerts=-1))
    assert (answer.status_code, answer.json()) == (200, {"results": {"accepted": 1}, "truncated": 0})
    governor.worker.make_pass()
    assert client.get("/v1/rulings/1").json()["choice"] == "run"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/v1/rulings/{2**64}", 404),
        ("/v1/rulings/-1", 404),
        ("/v1/rulings/first", 400),
        ("/v1/rulings?limit=many", 400),
        ("/v1/rulings?problem=%00", 400),
        ("/v1/nothing", 404),
        ("/v1/problems/flight-delays/pause", 405),
    ],
)
def test_whatever_is_wrong_is_answered_in_one_form(client, path, status):
    answer = client.get(path)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert len(answer.json()["error"]) > 20


def test_a_fault_of_the_governor_is_answered_in_the_same_form(governor, client, monkeypatch):
    monkeypatch.setattr(Archive, "list_rulings", lambda *_: 1 / 0)
    client.transport.raise_app_exceptions = False
    answer = client.get("/v1/rulings")
    assert (answer.status_code, list(answer.json())) == (500, ["error"])


def test_the_body_of_a_sender_without_token_is_not_read(client):
    """The token is checked first: a huge body of a stranger is answered 401, not read and answered 413."""
    assert client.post(ALERTS, content="x" * (2**20 + 1)).status_code == 401


def test_what_cannot_be_stored_is_answered_5xx_so_that_it_is_sent_again(governor, client):
    with governor.database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE episodes RENAME TO gone")
    answer = client.post(ALERTS, headers=BEARER, content=body(ALERT))
    assert answer.status_code == 503
    assert "governor database" in answer.json()["error"]
    assert client.get("/readyz").status_code == 503
    assert "tidemill_governor_database_up 0.0" in client.get("/metrics").text
    with governor.database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE gone RENAME TO episodes")
    assert client.post(ALERTS, headers=BEARER, content=body(ALERT)).json()["results"] == {"accepted": 1}


def test_a_person_orders_a_run_and_reads_what_became_of_it(governor, client):
    order = client.post("/v1/problems/flight-delays/runs", headers=BEARER, json={"by": "anna", "note": "new code"})
    assert order.status_code == 202
    governor.worker.make_pass()
    ruling = client.get(order.json()["url"]).json()
    assert (ruling["cause"], ruling["name"], ruling["note"]) == ("person", "anna", "new code")
    assert (ruling["choice"], ruling["run"]["state"]) == ("run", "running")
    assert [change["choice"] for change in ruling["history"]] == ["run"]
    assert client.get("/v1/problems").json()[0]["budget_left"] == 0


def test_a_person_pauses_and_resumes(governor, client):
    assert (
        client.post("/v1/problems/flight-delays/pause", headers=BEARER, json={"by": "anna"}).json()["paused_by"]
        == "anna"
    )
    client.post(ALERTS, headers=BEARER, content=body(ALERT))
    governor.worker.make_pass()
    assert client.get("/v1/rulings/1").json()["reason"] == "paused"
    assert 'tidemill_governor_paused{problem="flight-delays"} 1.0' in client.get("/metrics").text
    client.post("/v1/problems/flight-delays/resume", headers=BEARER, json={"by": "anna"})
    governor.worker.make_pass()
    assert client.get("/v1/rulings/1").json()["reason"] == "worth_it"


@pytest.mark.parametrize(
    ("path", "headers", "content", "status"),
    [
        ("/v1/problems/flight-delays/pause", {}, '{"by": "anna"}', 401),
        ("/v1/problems/wine/pause", BEARER, '{"by": "anna"}', 404),
        ("/v1/problems/flight-delays/runs", BEARER, "{}", 400),
        ("/v1/problems/flight-delays/runs", BEARER, '{"by": "anna", "force": true}', 400),
        ("/v1/problems/flight-delays/runs", BEARER, r'{"by": "anna\u0000"}', 400),
    ],
)
def test_a_request_that_is_refused_changes_nothing(client, path, headers, content, status):
    assert client.post(path, headers=headers, content=content).status_code == status
    assert client.get("/v1/rulings").json() == []


def test_reading_needs_the_token_from_another_machine(governor):
    far = Client(governor.app, "10.1.2.3")
    assert far.get("/v1/rulings").status_code == 401
    assert far.get("/v1/rulings", headers=BEARER).status_code == 200
    assert far.get("/healthz").status_code == 200
    assert far.get("/metrics").status_code == 200


def test_rulings_are_listed_by_problem_and_an_unknown_one_is_not_found(client):
    client.post(ALERTS, headers=BEARER, content=body(ALERT))
    assert len(client.get("/v1/rulings", params={"problem": "flight-delays"}).json()) == 1
    assert client.get("/v1/rulings", params={"problem": "wine"}).json() == []
    assert client.get("/v1/rulings/99").status_code == 404


def test_readiness_waits_for_the_first_whole_pass(governor, client):
    assert client.get("/readyz").status_code == 503
    governor.worker.make_pass()
    assert client.get("/readyz").status_code == 200


def test_a_weak_or_missing_secret_file_is_refused_at_the_start(tmp_path):
    from components.base.errors import SettingsError

    short = tmp_path / "short"
    short.write_text("secret\n")
    for file, words in ((short, "at least 16 bytes, but has 6"), (tmp_path / "none", "must be readable")):
        known = settings(tmp_path, TIDEMILL_GOVERNOR_HMAC_FILE=str(file))
        with pytest.raises(SettingsError, match=words):
            assemble(known, {}, MemoryRunner(), lambda _: None)


def test_settings_name_the_database_and_never_show_its_password(tmp_path):
    known = settings(tmp_path, TIDEMILL_GOVERNOR_DATABASE="postgresql+psycopg://me:hunter2@db/governor")
    assert known.governor_database.endswith("@db/governor")
    assert "hunter2" not in repr(known)
    assert settings(tmp_path).governor_database == f"sqlite:///{tmp_path}/governor.db"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DATABASE", "mysql://me:hunter2@db", "must start with one of sqlite, postgresql, but got 'mysql'"),
        ("DATBASE", "mysql://me:hunter2@db", "Did you mean 'TIDEMILL_GOVERNOR_DATABASE'?"),
    ],
)
def test_wrong_settings_are_refused_without_showing_a_password(tmp_path, name, value, words):
    from components.base.errors import SettingsError

    with pytest.raises(SettingsError, match=words) as refusal:
        settings(tmp_path, **{f"TIDEMILL_GOVERNOR_{name}": value})
    assert "hunter2" not in str(refusal.value)
