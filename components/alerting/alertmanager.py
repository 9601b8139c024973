"""Render the configuration of an Alertmanager that notifies the governor: one route, one webhook.

In: the governor's address, the file of its bearer token, the pace of time. Out: YAML. Called by the simulation and by
the contract test. On a cluster Grafana sends the notifications; `grafana.rules` renders its routes. The governor
receives every alert and acts on those that the contract lists; people see the others in Alertmanager and on dashboards.
"""

from pathlib import Path

from components.alerting.prometheus_rules import dump_yaml
from components.alerting.types import HOUR, MINUTE, PRODUCTION, Pace, write_duration

WEBHOOK_PATH = "/v1/webhooks/alertmanager"
# Alertmanager's own defaults: alerts that start together arrive together, changes soon, a reminder rarely.
_GROUP_WAIT_SECONDS = 30.0
_GROUP_INTERVAL_SECONDS = 5 * MINUTE
_REPEAT_SECONDS = 4 * HOUR
# Alertmanager refuses zero.
_SHORTEST_SECONDS = 1.0


def render_alertmanager(governor_url: str, token_file: Path, pace: Pace = PRODUCTION) -> str:
    """Return the configuration; `governor_url` is `http://host:port`, the token stays in its file."""
    webhook = {
        "url": f"{governor_url.rstrip('/')}{WEBHOOK_PATH}",
        "send_resolved": True,
        "max_alerts": 50,
        "http_config": {"authorization": {"type": "Bearer", "credentials_file": str(token_file)}},
    }
    route = {
        "receiver": "governor",
        "group_by": ["problem", "alertname"],
        "group_wait": _scaled(_GROUP_WAIT_SECONDS, pace),
        "group_interval": _scaled(_GROUP_INTERVAL_SECONDS, pace),
        "repeat_interval": _scaled(_REPEAT_SECONDS, pace),
    }
    return dump_yaml({"route": route, "receivers": [{"name": "governor", "webhook_configs": [webhook]}]})


def _scaled(seconds: float, pace: Pace) -> str:
    return write_duration(max(pace.scaled(seconds), _SHORTEST_SECONDS))
