"""KFP faces of the release phase, in the order they run."""

from kfp.dsl import HTML, Artifact, Input, Markdown, Output

from components.base.step import step


@step
def register(
    problem: Input[Artifact],
    prepared: Input[Artifact],
    profile: Input[Artifact],
    model: Input[Artifact],
    evaluation: Input[Artifact],
    snapshot: str,
    features_uri: str,
    run_id: str,
    as_of: str,
    release: Output[Artifact],
):
    """Record the model with its evaluation and its drift reference in the registry."""
    from pathlib import Path

    from components.base.prepared import read_prepared
    from components.base.problem import read_problem
    from components.base.settings import load_settings
    from components.release.register import Evidence, register_release

    made = {"model": model, "evaluation": evaluation, "profile": profile}
    folders = {f"{name}_folder": Path(artifact.path) for name, artifact in made.items()}
    origin = {"snapshot": snapshot, "features_uri": features_uri, "run_id": run_id, "as_of": as_of}
    evidence = Evidence(prepared=read_prepared(prepared.path), **folders, **origin)
    register_release(read_problem(problem.path), evidence, Path(release.path), load_settings())


@step
def deploy(problem: Input[Artifact], release: Input[Artifact], deployment: Output[Artifact]):
    """Try the release behind its endpoint, and promote it or leave the champion in charge."""
    from pathlib import Path

    from components.base.problem import read_problem
    from components.base.settings import load_settings
    from components.release.deploy import deploy_release

    deploy_release(read_problem(problem.path), Path(release.path), Path(deployment.path), load_settings())


@step
def present(
    problem: Input[Artifact],
    accepted: Input[Artifact],
    prepared: Input[Artifact],
    profile: Input[Artifact],
    leaderboard: Input[Artifact],
    tuned: Input[Artifact],
    model: Input[Artifact],
    evaluation: Input[Artifact],
    release: Input[Artifact],
    deployment: Input[Artifact],
    run_id: str,
    as_of: str,
    report: Output[HTML],
    card: Output[Markdown],
    summary: Output[Artifact],
):
    """Put everything into one report, a model card and a summary."""
    from pathlib import Path

    from components.base.problem import read_problem
    from components.release.present import copy_presentation, present_release

    data = {"accepted": accepted, "prepared": prepared, "profile": profile}
    models = {"leaderboard": leaderboard, "tuned": tuned, "model": model, "evaluation": evaluation}
    artifacts = {**data, **models, "release": release, "deployment": deployment}
    places = {name: Path(artifact.path) for name, artifact in artifacts.items()}
    present_release(read_problem(problem.path), run_id, as_of, places, Path(summary.path))
    copy_presentation(Path(summary.path), Path(report.path), Path(card.path))
