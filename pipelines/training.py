"""The training pipeline: from the contract to a deployed, reported model, steps in the order of the data.

Compiled for Kubeflow Pipelines and run by `pipelines/runners/run.py`, unchanged. A step is reused only when its
inputs and its code are unchanged; steps that read or change the world outside are never reused.
"""

from typing import Any

from kfp import dsl
from kfp.dsl import Artifact

from components.base.steps import frame
from components.data.steps import ingest, validate
from components.features.steps import build, explore, materialize, prepare
from components.models.steps import ensemble, evaluate, recall, refit, select, tune
from components.release.steps import deploy, register
from components.reports.steps import present
from pipelines.resources import set_up_everywhere

PIPELINE_NAME = "training"


def tune_chosen(prepared: Any, selected: Any) -> dsl.Collected:
    """Tune each family that `select` chose in a step of its own; return the searches in their order.

    On one machine the families follow each other, for a batch of trials takes all cores; `runners/compile.py` lifts
    that for a cluster.

    Args:
        prepared: Output of `prepare`.
        selected: The task `select`.
    """
    with dsl.ParallelFor(selected.outputs["Output"], name="families", parallelism=1) as item:
        found = tune(
            contract=item.contract,
            family=item.family,
            prepared=prepared,
            leaderboard=selected.outputs["leaderboard"],
        )
    return dsl.Collected(found.output)


@dsl.pipeline(name=PIPELINE_NAME, description="One release of one problem, at one time")
def training(problem: str, as_of: str = "", due: str = "") -> Artifact:
    """Train, judge, register, deploy and present one release.

    Args:
        problem: Name of the contract.
        as_of: ISO 8601 time in UTC; nothing that became available later is read. Empty: the time in `due`.
        due: Time for which the run was due; Kubeflow gives it to the pipeline that `on_cluster.py` builds.
    """
    run_id = dsl.PIPELINE_JOB_ID_PLACEHOLDER
    framed = frame(problem=problem, as_of=as_of, due=due)
    contract, time = framed.outputs["contract"], framed.outputs["as_of"]
    ingested = ingest(contract=contract, as_of=time)
    accepted = validate(contract=contract, snapshot=ingested.output).output
    features_uri = build(contract=contract, accepted=accepted).output
    split = prepare(contract=contract, accepted=accepted, features_uri=features_uri, as_of=time)
    prepared, test = split.outputs["prepared"], split.outputs["test"]
    # Without a test row: only evaluate, and register after it, are given those.
    rows = {"contract": contract, "prepared": prepared}
    explored = explore(**rows)
    # A leak that nobody has accepted stops the run there: nothing is fitted to it.
    recalled = recall(contract=contract).after(explored)
    selected = select(**rows, champion=recalled.output)
    leaderboard = selected.outputs["leaderboard"]
    combined = ensemble(**rows, searches=tune_chosen(prepared, selected))
    model = combined.outputs["model"]
    evaluated = evaluate(**rows, test=test, model=model, leaderboard=leaderboard)
    evaluation = evaluated.outputs["evaluation"]
    served = refit(**rows, test=test, model=model, evaluation=evaluation).output
    registered = register(
        **rows,
        test=test,
        profile=explored.output,
        leaderboard=leaderboard,
        model=model,
        evaluation=evaluation,
        served=served,
        snapshot=ingested.output,
        features_uri=features_uri,
        run_id=run_id,
        as_of=time,
    )
    materialized = materialize(contract=contract, features_uri=features_uri, as_of=time)
    # Until the release is registered the champion serves the features that it has.
    materialized.after(registered)
    deployed = deploy(contract=contract, release=registered.outputs["release"]).after(materialized)
    presented = present(
        **rows,
        accepted=accepted,
        profile=explored.output,
        leaderboard=leaderboard,
        tuned=combined.outputs["tuned"],
        model=model,
        evaluation=evaluation,
        served=served,
        release=registered.outputs["release"],
        deployment=deployed.output,
        run_id=run_id,
        as_of=time,
    )
    set_up_everywhere()
    return presented.outputs["summary"]
