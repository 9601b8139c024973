"""The refresh pipeline: fresh data to the feature tables and the online store, between two trainings.

Compiled for Kubeflow Pipelines and run by `pipelines/runners/run.py`, unchanged. The endpoint sees the new features
with its next request; no model changes.
"""

from kfp import dsl
from kfp.dsl import Artifact

from components.base.steps import frame
from components.data.steps import ingest, validate
from components.features.steps import build, materialize, record

PIPELINE_NAME = "refresh"


@dsl.pipeline(name=PIPELINE_NAME, description="Fresh features of one problem, at one time")
def refresh(contract: str, as_of: str) -> Artifact:
    """Bring the online store up to a time.

    Args:
        contract: The problem contract as YAML text.
        as_of: ISO 8601 time in UTC; nothing that became available later is read.
    """
    problem = frame(contract=contract).output
    ingested = ingest(problem=problem, as_of=as_of).set_caching_options(False)
    accepted = validate(problem=problem, snapshot=ingested.output).output
    features_uri = build(problem=problem, accepted=accepted).set_caching_options(False).output
    filled = materialize(problem=problem, features_uri=features_uri, as_of=as_of).set_caching_options(False)
    recorded = record(accepted=accepted, features_uri=features_uri, as_of=as_of)
    return recorded.after(filled).set_caching_options(False).output
