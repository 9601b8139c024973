"""Authenticate a notification, and find the alerts in it that may start a run.

In: raw bodies, headers, secrets, the known problems. Out: `Notification`s, or a `RefusedError` with the HTTP status and
the text of the answer. Called by `app.py`; stores nothing.

Grafana sends bodies of version "1", Alertmanager of version "4"; unknown fields are ignored, and null counts as empty.
An alert may start a run if its labels have `action=retrain` and a known problem, and if that problem's contract lists
its name. Alerts on missing data never do: `DatasourceNoData` and `DatasourceError` keep the labels of the rule, and a
rule may fire on missing data, but a monitoring without data is no reason to retrain.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import orjson

from components.base.contract.problem import Problem
from components.governor.inbox import UNKNOWN_START, Signal

Sender = Literal["grafana", "alertmanager"]
# A notification of 1,000 alerts is some 800 KB; neither sender batches more.
MAXIMUM_BODY_BYTES = 2**20
SIGNATURE_HEADER = "X-Grafana-Alerting-Signature"
TIMESTAMP_HEADER = "X-Grafana-Alerting-Timestamp"
# Clocks of machines in one cluster differ by less; after it a captured request cannot be sent again.
MAXIMUM_SKEW_SECONDS = 300
_VERSIONS: Mapping[Sender, str] = {"grafana": "1", "alertmanager": "4"}
_BLIND_ALERTS = ("DatasourceNoData", "DatasourceError")
# Annotation with which Grafana marks an alert that fires although its query has not reached the threshold.
_STATE_REASON = "grafana_state_reason"
# Go writes nanoseconds; Python reads microseconds.
_BEYOND_MICROSECONDS = re.compile(r"(\.\d{6})\d+")
_TEXT_CHARACTERS = 200
# More than any sender leaves out of one notification; a counter of Prometheus is a float.
_MAXIMUM_COUNT = 10**9


class RefusedError(Exception):
    """A refused request, with the HTTP status and the text of the answer."""

    def __init__(self, status: int, words: str) -> None:
        """Take the status and the text of the answer."""
        super().__init__(words)
        self.status = status


@dataclass(frozen=True)
class Notification:
    """The alerts of one notification."""

    signals: list[Signal] = field(default_factory=list)
    """Alerts that may start a run."""
    ignored: list[str] = field(default_factory=list)
    """The reason for each alert that may not."""
    truncated: int = 0
    """Alerts that the sender left out."""


def check_signature(raw: bytes, headers: Mapping[str, str], secret: bytes, unix_seconds: float) -> None:
    """Accept a body that Grafana has signed within the last minutes.

    The signature is hex(HMAC-SHA256(secret, timestamp + ":" + body)), over the body's bytes as they came.
    Source: the notifier's own code, github.com/grafana/alerting (webhook, hmacConfig).

    Raises:
        RefusedError: 401, when timestamp or signature is missing, old or wrong.
    """
    timestamp, signature = headers.get(TIMESTAMP_HEADER, ""), headers.get(SIGNATURE_HEADER, "")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise RefusedError(
            401, f"{TIMESTAMP_HEADER} must hold seconds since 1970, but does not. Set hmacConfig.timestampHeader."
        )
    if abs(unix_seconds - int(timestamp)) > MAXIMUM_SKEW_SECONDS:
        raise RefusedError(
            401,
            f"{TIMESTAMP_HEADER} must be within {MAXIMUM_SKEW_SECONDS} s of now, but is not. Set the machines' clocks.",
        )
    expected = hmac.new(secret, timestamp.encode() + b":" + raw, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise RefusedError(401, f"{SIGNATURE_HEADER} must sign the body with the shared secret, but does not.")


def check_bearer(header: str, token: bytes) -> None:
    """Accept `Authorization: Bearer <token>`.

    Raises:
        RefusedError: 401, when it is missing or wrong.
    """
    scheme, _, given = header.partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token):
        raise RefusedError(401, "Authorization must be `Bearer <token>` with the governor's token, but is not.")


def read_notification(raw: bytes, sender: Sender, problems: Mapping[str, Problem]) -> Notification:
    """Read a body and separate its alerts into signals and ignored ones.

    Raises:
        RefusedError: 400, when it is not a notification of the sender's version.
    """
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise RefusedError(400, f"the body must be JSON, but got {error}.") from error
    if not isinstance(body, dict):
        raise RefusedError(400, "the body must be a JSON object, but is not.")
    wanted = _VERSIONS[sender]
    if body.get("version") != wanted:
        raise RefusedError(
            400, f"`version` must be {wanted!r} for {sender}, but got {str(body.get('version'))[:20]!r}."
        )
    alerts = body.get("alerts") or []
    if not isinstance(alerts, list):
        raise RefusedError(400, "`alerts` must be a list, but is not.")
    notification = Notification(truncated=_count(body.get("truncatedAlerts")))
    for alert in alerts:
        found = _read_alert(alert, problems, sender)
        if isinstance(found, Signal):
            notification.signals.append(found)
        else:
            notification.ignored.append(found)
    return notification


def _read_alert(alert: Any, problems: Mapping[str, Problem], sender: Sender) -> Signal | str:
    """Return the signal of an alert, or the reason why it is ignored."""
    if not isinstance(alert, dict):
        return "malformed"
    labels, annotations = _texts(alert.get("labels")), _texts(alert.get("annotations"))
    name, problem = labels.get("alertname", ""), labels.get("problem", "")
    is_blind = annotations.get(_STATE_REASON, "").startswith(("NoData", "Error"))
    if name in _BLIND_ALERTS or (is_blind and alert.get("status") == "firing"):
        return "no_data"
    if labels.get("action") != "retrain":
        return "no_retraining"
    if problem not in problems:
        return "unknown_problem"
    if name not in problems[problem].retraining.alerts:
        return "not_listed"
    return _read_signal(alert, problem, name, sender) or "malformed"


def _read_signal(alert: Mapping[str, Any], problem: str, name: str, sender: Sender) -> Signal | None:
    status, fingerprint, starts_at = alert.get("status"), alert.get("fingerprint"), _format_start(alert.get("startsAt"))
    if status not in ("firing", "resolved") or not starts_at or not isinstance(fingerprint, str):
        return None
    # Two senders may hash the same labels to the same text, and know nothing of each other's alerts.
    known_as = f"{sender}:{fingerprint}"
    # A database takes no text with a zero in it.
    if not fingerprint or len(known_as) > _TEXT_CHARACTERS or not fingerprint.isprintable():
        return None
    return Signal(problem, name, known_as, starts_at, is_firing=status == "firing")


def _count(value: Any) -> int:
    """Return a number of alerts; 0 for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < _MAXIMUM_COUNT else 0


def _texts(mapping: Any) -> dict[str, str]:
    return {k: v for k, v in mapping.items() if isinstance(v, str)} if isinstance(mapping, dict) else {}


def _format_start(text: Any) -> str | None:
    """Format a time so that texts compare like times; None if it is no time with a zone.

    Any time in the year 1 is `UNKNOWN_START`: Go's zero, in whatever zone it was written.
    """
    if isinstance(text, str) and text.startswith("0001-"):
        return UNKNOWN_START
    try:
        time = datetime.fromisoformat(_BEYOND_MICROSECONDS.sub(r"\1", text))
        return time.astimezone(UTC).isoformat(timespec="microseconds") if time.tzinfo else None
    except (TypeError, ValueError, OverflowError):
        return None
