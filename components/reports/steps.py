"""KFP faces of the reports: the report of a release, and those of a monitoring window."""

from kfp.dsl import HTML, Artifact, Input, Markdown, Output

from components.base.step import step


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

    from components.base.adapters.s3 import open_store
    from components.base.contract.load import read_problem
    from components.base.settings import load_settings
    from components.reports.library import publish_release
    from components.reports.release.present import copy_presentation, present_release
    from components.tasks import open_task

    data = {"accepted": accepted, "prepared": prepared, "profile": profile}
    models = {"leaderboard": leaderboard, "tuned": tuned, "model": model, "evaluation": evaluation}
    artifacts = {**data, **models, "release": release, "deployment": deployment}
    places = {name: Path(artifact.path) for name, artifact in artifacts.items()}
    task = open_task(read_problem(problem.path))
    present_release(task, run_id, as_of, places, Path(summary.path))
    publish_release(open_store(load_settings()), task.problem.name, as_of, run_id, Path(summary.path))
    copy_presentation(Path(summary.path), Path(report.path), Path(card.path))


@step
def report(
    problem: Input[Artifact],
    result: Input[Artifact],
    daily: Output[HTML],
    kpi: Output[HTML],
    reports: Output[Artifact],
):
    """Write the daily report and the KPI report of the window, with the trend over all windows."""
    from pathlib import Path

    from components.base.contract.load import read_problem
    from components.base.settings import load_settings
    from components.reports.sources import copy_pages, report_window
    from components.tasks import open_task

    folder = Path(reports.path)
    report_window(open_task(read_problem(problem.path)), Path(result.path), load_settings(), folder)
    copy_pages(folder, Path(daily.path), Path(kpi.path))
