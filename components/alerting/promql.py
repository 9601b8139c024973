"""Pieces of PromQL that alerts and dashboards share.

In: names, labels, durations in seconds. Out: expressions. Metric names are those of `metric_names`; `job` labels
those of `prometheus_config`.
"""

from components.alerting.types import write_duration, write_threshold

PREDICTOR_JOB = "tidemill-predictor"
EXPORTER_JOB = "tidemill-exporter"
GOVERNOR_JOB = "tidemill-governor"
LAST_MONITORING = "tidemill_monitoring_last_success_timestamp_seconds"


def select(name: str, **labels: str) -> str:
    """Write a selector: `up{job="x"}`."""
    matchers = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return f"{name}{{{matchers}}}"


def rate(selector: str, window_seconds: float, by: str = "problem") -> str:
    """Write the summed rate of a counter."""
    return f"sum by ({by}) (rate({selector}[{write_duration(window_seconds)}]))"


def increase(selector: str, window_seconds: float, by: str = "problem") -> str:
    """Write the summed increase of a counter."""
    return f"sum by ({by}) (increase({selector}[{write_duration(window_seconds)}]))"


def greatest(selector: str, by: str = "problem") -> str:
    """Write the greatest value of a gauge: replicas of the exporter say the same."""
    return f"max by ({by}) ({selector})"


def constant_for(problem: str, number: str) -> str:
    """Write a number that carries the problem's label, for what must be noticed when it is not there at all."""
    return f'label_replace(vector({number}), "problem", "{problem}", "", "")'


def age(selector: str, by: str = "problem") -> str:
    """Write how long ago the moment of a gauge was, in seconds."""
    return f"time() - {greatest(selector, by)}"


def when_judged(query: str, rows: str, minimum_rows: float, fresh_seconds: float, problem: str) -> str:
    """Keep the query only when enough rows were judged and the monitoring result is fresh."""
    fresh = write_threshold(round(fresh_seconds, 3))
    return (
        f"{query} and on (problem) ({greatest(select(rows, problem=problem))} >= {write_threshold(minimum_rows)})"
        f" and on (problem) ({age(select(LAST_MONITORING, problem=problem))} < {fresh})"
    )
