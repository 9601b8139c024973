"""KFP faces of the release phase, in the order they run."""

from kfp.dsl import Artifact, Input, Markdown, Output

from components.base.step import step


@step
def register(
    contract: str,
    prepared: Input[Artifact],
    test: Input[Artifact],
    profile: Input[Artifact],
    leaderboard: Input[Artifact],
    model: Input[Artifact],
    evaluation: Input[Artifact],
    served: Input[Artifact],
    snapshot: str,
    features_uri: str,
    run_id: str,
    as_of: str,
    release: Output[Artifact],
    links: Output[Markdown],
):
    """Record the model with its evaluation and its drift reference in the registry, and link its pages."""
    from pathlib import Path

    from components.base.contract.stored import fetch_problem
    from components.base.dataset import read_prepared
    from components.base.settings import load_settings
    from components.release.links import write_links
    from components.release.register import Evidence, register_release
    from components.tasks import open_task

    made = {"model": model, "evaluation": evaluation, "served": served, "profile": profile}
    folders = {f"{name}_folder": Path(artifact.path) for name, artifact in made.items()}
    origin = {"snapshot": snapshot, "features_uri": features_uri, "run_id": run_id, "as_of": as_of}
    rows = read_prepared(prepared.path, test.path)
    evidence = Evidence(prepared=rows, leaderboard=Path(leaderboard.path), **folders, **origin)
    settings = load_settings()
    task = open_task(fetch_problem(contract, settings))
    registered = register_release(task, evidence, Path(release.path), settings)
    Path(links.path).write_text(write_links(registered, settings))


@step
def deploy(contract: str, release: Input[Artifact], deployment: Output[Artifact]):
    """Try the release behind its endpoint, and promote it or keep the champion."""
    from pathlib import Path

    from components.base.contract.stored import fetch_problem
    from components.base.settings import load_settings
    from components.release.deploy import deploy_release
    from components.tasks import open_task

    settings = load_settings()
    task = open_task(fetch_problem(contract, settings))
    deploy_release(task, Path(release.path), Path(deployment.path), settings)
