"""The training pipeline: from the contract to a deployed, reported model, steps in the order of the data.

Compiled for Kubeflow Pipelines and run by `pipelines/runners/run.py`, unchanged. A step is reused only when its
inputs and its code are unchanged; steps that read or change the world outside are never reused.
"""

from kfp import dsl
from kfp.dsl import Artifact

from components.base.steps import frame
from components.data.steps import ingest, validate
from components.features.steps import build, explore, materialize, prepare
from components.models.steps import ensemble, evaluate, select, tune
from components.release.steps import deploy, register
from components.reports.steps import present

PIPELINE_NAME = "training"


@dsl.pipeline(name=PIPELINE_NAME, description="One release of one problem, at one time")
def training(contract: str, as_of: str) -> Artifact:
    """Train, judge, register, deploy and present one release.

    Args:
        contract: The problem contract as YAML text.
        as_of: ISO 8601 time in UTC; nothing that became available later is read.
    """
    run_id = dsl.PIPELINE_JOB_ID_PLACEHOLDER
    problem = frame(contract=contract).output
    ingested = ingest(problem=problem, as_of=as_of).set_caching_options(False)
    accepted = validate(problem=problem, snapshot=ingested.output).output
    # KFP's cache does not see whether the tables are still there; build does, and leaves them if so.
    features_uri = build(problem=problem, accepted=accepted).set_caching_options(False).output
    prepared = prepare(problem=problem, accepted=accepted, features_uri=features_uri, as_of=as_of).output
    explored = explore(problem=problem, prepared=prepared).output
    leaderboard = select(problem=problem, prepared=prepared).output
    tuned = tune(problem=problem, prepared=prepared, leaderboard=leaderboard).output
    model = ensemble(problem=problem, prepared=prepared, tuned=tuned).output
    evaluated = evaluate(problem=problem, prepared=prepared, model=model, leaderboard=leaderboard)
    evaluated.set_caching_options(False)
    registered = register(
        problem=problem,
        prepared=prepared,
        profile=explored,
        model=model,
        evaluation=evaluated.outputs["evaluation"],
        snapshot=ingested.output,
        features_uri=features_uri,
        run_id=run_id,
        as_of=as_of,
    ).set_caching_options(False)
    materialized = materialize(problem=problem, features_uri=features_uri, as_of=as_of)
    # Until the release is registered the champion serves the features that it has.
    materialized.set_caching_options(False).after(registered)
    deployed = deploy(problem=problem, release=registered.output).set_caching_options(False).after(materialized)
    presented = present(
        problem=problem,
        accepted=accepted,
        prepared=prepared,
        profile=explored,
        leaderboard=leaderboard,
        tuned=tuned,
        model=model,
        evaluation=evaluated.outputs["evaluation"],
        release=registered.output,
        deployment=deployed.output,
        run_id=run_id,
        as_of=as_of,
    ).set_caching_options(False)
    return presented.outputs["summary"]
