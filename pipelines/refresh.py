"""The refresh pipeline: fresh data to the feature tables and the online store, between two trainings.

Compiled for Kubeflow Pipelines and run by `pipelines/runners/run.py`, unchanged. The endpoint sees the new features
with its next request; no model changes.
"""

from kfp import dsl
from kfp.dsl import Artifact

from components.base.steps import frame
from components.data.steps import ingest, validate
from components.features.steps import build, materialize, record
from pipelines.resources import set_up_everywhere

PIPELINE_NAME = "refresh"


@dsl.pipeline(name=PIPELINE_NAME, description="Fresh features of one problem, at one time")
def refresh(problem: str, as_of: str = "", due: str = "") -> Artifact:
    """Bring the online store up to a time.

    Args:
        problem: Name of the contract.
        as_of: ISO 8601 time in UTC; nothing that became available later is read. Empty: the time in `due`.
        due: Time for which the run was due; Kubeflow gives it to the pipeline that `on_cluster.py` builds.
    """
    framed = frame(problem=problem, as_of=as_of, due=due)
    contract, time = framed.outputs["contract"], framed.outputs["as_of"]
    ingested = ingest(contract=contract, as_of=time, pipeline=PIPELINE_NAME)
    accepted = validate(contract=contract, snapshot=ingested.output).output
    features_uri = build(contract=contract, accepted=accepted).output
    filled = materialize(contract=contract, features_uri=features_uri, as_of=time)
    recorded = record(accepted=accepted, features_uri=features_uri, as_of=time)
    set_up_everywhere()
    return recorded.after(filled).output
