"""The monitoring pipeline: what was served in the window before a time, compared with what became known since.

Compiled for Kubeflow Pipelines and run by `pipelines/runners/run.py`, unchanged. Labels and point-in-time features
come from the same steps as in training. It changes neither a model nor the online store; the governor and the alerts
read its result. Steps that read the world outside are never reused.
"""

from kfp import dsl
from kfp.dsl import Artifact

from components.base.steps import frame
from components.data.steps import ingest, validate
from components.features.steps import build
from components.monitoring.steps import monitor
from components.reports.steps import report

PIPELINE_NAME = "monitoring"


@dsl.pipeline(name=PIPELINE_NAME, description="What one deployed problem did, at one time")
def monitoring(contract: str, as_of: str) -> Artifact:
    """Judge one window and report it.

    Args:
        contract: The problem contract as YAML text.
        as_of: ISO 8601 time in UTC; the window ends there, and nothing that became available later is read.
    """
    problem = frame(contract=contract).output
    ingested = ingest(problem=problem, as_of=as_of).set_caching_options(False)
    accepted = validate(problem=problem, snapshot=ingested.output).output
    features_uri = build(problem=problem, accepted=accepted).set_caching_options(False).output
    judged = monitor(problem=problem, accepted=accepted, features_uri=features_uri, as_of=as_of)
    judged.set_caching_options(False)
    reported = report(problem=problem, result=judged.output).set_caching_options(False)
    return reported.outputs["reports"]
