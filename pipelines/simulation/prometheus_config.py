"""Write the configuration of a Prometheus that watches one problem on this machine.

In: where its targets listen, the rule file, the Alertmanager, the pace of time. Out: YAML. Called by the loop and by
the contract test. On a cluster the operator's objects say the same; the alerts need only the job names of `promql`
and the label `problem` on the predictor's target.
"""

from collections.abc import Mapping
from pathlib import Path

from components.alerting.prometheus_rules import dump_yaml
from components.alerting.promql import EXPORTER_JOB, GOVERNOR_JOB, PREDICTOR_JOB
from components.alerting.types import PRODUCTION, Pace, write_duration

# Prometheus refuses a timeout longer than the interval, and 10 seconds is its default.
_LONGEST_TIMEOUT_SECONDS = 10.0
JOBS = {"predictor": PREDICTOR_JOB, "exporter": EXPORTER_JOB, "governor": GOVERNOR_JOB}


def render_prometheus(
    problem: str,
    targets: Mapping[str, str],
    rules_file: Path,
    alertmanager: str,
    pace: Pace = PRODUCTION,
) -> str:
    """Return the configuration.

    Args:
        problem: Its name becomes a label of the predictor's target.
        targets: `host:port` by `predictor`, `exporter` and `governor`; those that are not there are left out.
        rules_file: What `render_rules` wrote.
        alertmanager: `host:port`.
        pace: Its `scrape_seconds` is the interval of scrapes and rules.
    """
    interval = write_duration(pace.scrape_seconds)
    timeout = write_duration(min(pace.scrape_seconds, _LONGEST_TIMEOUT_SECONDS))
    scrapes = []
    for name, target in targets.items():
        labels = {"problem": problem} if name == "predictor" else {}
        scrapes.append(
            {
                "job_name": JOBS[name],
                # The series bring their own label `problem`, which would become `exported_problem`.
                "honor_labels": True,
                "static_configs": [{"targets": [target], "labels": labels}],
            }
        )
    return dump_yaml(
        {
            "global": {"scrape_interval": interval, "scrape_timeout": timeout, "evaluation_interval": interval},
            "rule_files": [str(rules_file)],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
            "scrape_configs": scrapes,
        }
    )
