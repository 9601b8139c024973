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
from pipelines.resources import set_up_everywhere

PIPELINE_NAME = "monitoring"


@dsl.pipeline(name=PIPELINE_NAME, description="What one deployed problem did, at one time")
def monitoring(problem: str, as_of: str = "", due: str = "") -> Artifact:
    """Judge one window and report it.

    Args:
        problem: Name of the contract.
        as_of: ISO 8601 time in UTC; the window ends there, and nothing known later is read. Empty: the time in `due`.
        due: Time for which the run was due; Kubeflow gives it to the pipeline that `on_cluster.py` builds.
    """
    framed = frame(problem=problem, as_of=as_of, due=due, after="refresh")
    contract, time = framed.outputs["contract"], framed.outputs["as_of"]
    ingested = ingest(contract=contract, as_of=time, pipeline=PIPELINE_NAME)
    accepted = validate(contract=contract, snapshot=ingested.output).output
    features_uri = build(contract=contract, accepted=accepted).output
    judged = monitor(contract=contract, accepted=accepted, features_uri=features_uri, as_of=time)
    reported = report(contract=contract, result=judged.output)
    set_up_everywhere()
    return reported.outputs["reports"]
