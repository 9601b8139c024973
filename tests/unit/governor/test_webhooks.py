"""What Grafana and Alertmanager send, who is believed, and which alerts may start a run."""

import copy
import json
import re
from pathlib import Path

import pytest

from components.governor.webhooks import RefusedError, check_bearer, check_signature, read_notification
from tests.unit.governor.world import CONTRACT

PROBLEMS = {"flight-delays": CONTRACT}
FOLDER = Path(__file__).parent
# Shapes as captured from Grafana's notifier and from Alertmanager 0.33, with our labels.
GRAFANA = (FOLDER / "grafana_notification.json").read_bytes()
ALERTMANAGER = (FOLDER / "alertmanager_notification.json").read_bytes()
SECRET, SENT_AT = b"a secret of the test", 1_764_000_000
# (printf '1764000000:'; cat grafana_notification.json) | openssl dgst -sha256 -hmac 'a secret of the test'
SIGNATURE = "4bdb55036820952e9954263e5fd22aa2be3468384ae7f9a6958b238e42cca2b9"


def headers(**changes):
    given = {"X-Grafana-Alerting-Timestamp": str(SENT_AT), "X-Grafana-Alerting-Signature": SIGNATURE}
    return {**given, **{f"X-Grafana-Alerting-{name.title()}": value for name, value in changes.items()}}


def alert(**changes):
    """Return Alertmanager's notification with its first alert changed."""
    body = json.loads(ALERTMANAGER)
    first = body["alerts"][0]
    for name, value in changes.items():
        target = first["labels"] if name in ("alertname", "problem", "action") else first
        target[name] = value
    return json.dumps({**body, "alerts": [first]}).encode()


def read(raw, sender="alertmanager"):
    return read_notification(raw, sender, PROBLEMS)


def test_the_signature_is_the_one_that_openssl_makes():
    check_signature(GRAFANA, headers(), SECRET, SENT_AT)


@pytest.mark.parametrize("seconds", [-300, 300])
def test_clocks_may_differ_by_five_minutes(seconds):
    check_signature(GRAFANA, headers(), SECRET, SENT_AT + seconds)


@pytest.mark.parametrize(
    ("raw", "given", "secret", "seconds", "words"),
    [
        (GRAFANA + b" ", headers(), SECRET, 0, "must sign the body"),
        (GRAFANA, headers(), b"another secret of it", 0, "must sign the body"),
        (GRAFANA, headers(signature="sha256=" + SIGNATURE), SECRET, 0, "must sign the body"),
        (GRAFANA, headers(signature=""), SECRET, 0, "must sign the body"),
        (GRAFANA, headers(signature="\u00fc"), SECRET, 0, "must sign the body"),
        (GRAFANA, headers(timestamp=str(SENT_AT + 1)), SECRET, 0, "must sign the body"),
        (GRAFANA, headers(), SECRET, 301, "must be within 300 s of now"),
        (GRAFANA, headers(), SECRET, -301, "must be within 300 s of now"),
        (GRAFANA, headers(timestamp=""), SECRET, 0, "must hold seconds since 1970"),
        (GRAFANA, headers(timestamp="1764000000.5"), SECRET, 0, "must hold seconds since 1970"),
        (GRAFANA, headers(timestamp="\u0661"), SECRET, 0, "must hold seconds since 1970"),
        (GRAFANA, {}, SECRET, 0, "must hold seconds since 1970"),
    ],
)
def test_a_body_that_is_not_signed_now_with_the_secret_is_refused(raw, given, secret, seconds, words):
    with pytest.raises(RefusedError, match=re.escape(words)) as refusal:
        check_signature(raw, given, secret, SENT_AT + seconds)
    assert refusal.value.status == 401


def test_a_bearer_token_must_be_the_very_one():
    check_bearer("Bearer a-long-token", b"a-long-token")
    check_bearer("bearer a-long-token", b"a-long-token")
    for wrong in ("", "a-long-token", "Basic a-long-token", "Bearer a-long-toke", "Bearer ", "Bearer \u00fc"):
        with pytest.raises(RefusedError, match=re.escape("must be `Bearer <token>`")):
            check_bearer(wrong, b"a-long-token")


def test_grafana_tells_one_alert_and_its_blindness_is_none():
    found = read(GRAFANA, "grafana")
    assert [(s.name, s.fingerprint, s.starts_at, s.is_firing) for s in found.signals] == [
        ("ValueBelowLimit", "grafana:c6ea", "2026-11-22T23:00:00.000000+00:00", True)
    ]
    assert found.ignored == ["no_data"]


def test_alertmanager_tells_of_each_alert_whether_it_fires():
    found = read(ALERTMANAGER)
    assert [(s.name, s.is_firing) for s in found.signals] == [
        ("PerformanceBelowLimit", True),
        ("ValueBelowLimit", False),
    ]
    assert found.truncated == 3


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"alertname": "DatasourceError"}, "no_data"),
        ({"alertname": "DatasourceNoData"}, "no_data"),
        ({"annotations": {"grafana_state_reason": "NoData"}}, "no_data"),
        ({"annotations": {"grafana_state_reason": "Error, KeepLast"}}, "no_data"),
        ({"action": "none"}, "no_retraining"),
        ({"labels": None}, "no_retraining"),
        ({"problem": "wine"}, "unknown_problem"),
        ({"alertname": "DriftMatters"}, "not_listed"),
        ({"alertname": "EndpointDown"}, "not_listed"),
        ({"startsAt": "yesterday"}, "malformed"),
        ({"startsAt": "2026-11-22T23:00:00"}, "malformed"),
        ({"startsAt": None}, "malformed"),
        ({"fingerprint": ""}, "malformed"),
        ({"fingerprint": 7}, "malformed"),
        ({"fingerprint": "x" * 201}, "malformed"),
        ({"fingerprint": "c6ea\x00"}, "malformed"),
        ({"status": "pending"}, "malformed"),
    ],
)
def test_an_alert_that_must_start_nothing_says_why(changes, why):
    found = read(alert(**changes))
    assert (found.signals, found.ignored) == ([], [why])


def test_a_resolved_alert_counts_also_when_its_series_is_missing():
    found = read(alert(status="resolved", annotations={"grafana_state_reason": "NoData"}))
    assert [signal.is_firing for signal in found.signals] == [False]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2026-11-22T23:00:00.123456789Z", "2026-11-22T23:00:00.123456+00:00"),
        ("2026-11-22T23:00:00.1Z", "2026-11-22T23:00:00.100000+00:00"),
        ("2026-11-23T00:00:00+01:00", "2026-11-22T23:00:00.000000+00:00"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000+00:00"),
        ("0001-01-01T00:00:00+05:30", "0001-01-01T00:00:00.000000+00:00"),
    ],
)
def test_one_time_is_one_text_however_it_is_written(text, told):
    assert read(alert(startsAt=text)).signals[0].starts_at == told


@pytest.mark.parametrize(("given", "told"), [(3, 3), (0, 0), (-1, 0), (True, 0), ("3", 0), (2**60, 0), (2.5, 0)])
def test_only_a_number_of_alerts_counts_as_truncated(given, told):
    body = json.loads(ALERTMANAGER) | {"truncatedAlerts": given}
    assert read(json.dumps(body).encode()).truncated == told


def test_unknown_fields_and_nulls_change_nothing():
    body = json.loads(ALERTMANAGER)
    rich = copy.deepcopy(body)
    rich["new"] = rich["alerts"][0]["enrichments"] = {"deep": [1, None]}
    rich["commonLabels"] = rich["truncatedAlerts"] = rich["alerts"][0]["annotations"] = None
    assert read(json.dumps(rich).encode()).signals == read(ALERTMANAGER).signals
    assert read(b'{"version": "4", "alerts": null}').signals == []
    assert read(b'{"version": "4", "alerts": [null, 3, "x"]}').ignored == ["malformed"] * 3


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "the body must be JSON"),
        (b"\xff", "the body must be JSON"),
        (b"[" * 100_000, "the body must be JSON"),
        (b"[]", "must be a JSON object"),
        (b'{"version": "1"}', "`version` must be '4' for alertmanager, but got '1'"),
        (b'{"version": 4}', "`version` must be '4'"),
        (b'{"version": "4", "alerts": {}, "x": 1}', ""),
        (b'{"version": "4", "alerts": "x"}', "`alerts` must be a list"),
    ],
)
def test_a_body_that_is_no_notification_is_refused_with_words(raw, words):
    if not words:
        assert read(raw).signals == []
        return
    with pytest.raises(RefusedError, match=re.escape(words)) as refusal:
        read(raw)
    assert refusal.value.status == 400
