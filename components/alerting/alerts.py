"""The alerts of a problem: the one source of truth for Prometheus, Grafana, their tests and the runbooks.

In: the contract, and the pace of time. Out: `Alert`s, every threshold a field of the contract or a constant with its
reason. Called by the generators (`make generate`), by the loop with a pace of its own, and by the lint.

An alert that judges a model (drift, features, labels, performance, value) needs enough rows and a fresh monitoring
result: a stale value triggers nothing. That it is stale is an alert of its own, which never retrains.
"""

from components.alerting.alerts_on_model import list_model_alerts
from components.alerting.alerts_on_pipelines import list_pipeline_alerts
from components.alerting.alerts_on_serving import list_serving_alerts
from components.alerting.types import PRODUCTION, Alert, Pace
from components.base.contract.problem import Problem


def list_alerts(problem: Problem, pace: Pace = PRODUCTION) -> list[Alert]:
    """Return every alert of a problem, the most urgent first."""
    return [
        *list_serving_alerts(problem, pace),
        *list_pipeline_alerts(problem, pace),
        *list_model_alerts(problem, pace),
    ]
