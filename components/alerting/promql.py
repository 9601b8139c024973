"""Pieces of PromQL that alerts and dashboards share, and the names of the scrape jobs.

In: names and labels. Out: expressions. Metric names are those of `base.metric_names`.
"""

PREDICTOR_JOB = "tidemill-predictor"
EXPORTER_JOB = "tidemill-exporter"
GOVERNOR_JOB = "tidemill-governor"
LAST_MONITORING = "tidemill_monitoring_last_success_timestamp_seconds"


def select(name: str, **labels: str) -> str:
    """Format a selector: `up{job="x"}`."""
    matchers = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return f"{name}{{{matchers}}}"


def greatest(selector: str, by: str = "problem") -> str:
    """Format the greatest value of a gauge; all replicas of the exporter show the same one."""
    return f"max by ({by}) ({selector})"
