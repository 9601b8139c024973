"""KFP faces of the reports: the report of a release, those of a monitoring window, and the record of a run."""

from kfp.dsl import HTML, Artifact, Input, Markdown, Output, PipelineTaskFinalStatus

from components.base.step import step


@step
def present(
    contract: str,
    accepted: Input[Artifact],
    prepared: Input[Artifact],
    profile: Input[Artifact],
    leaderboard: Input[Artifact],
    tuned: Input[Artifact],
    model: Input[Artifact],
    evaluation: Input[Artifact],
    served: Input[Artifact],
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
    from components.base.contract.stored import fetch_problem
    from components.base.settings import load_settings
    from components.reports.library import publish_release
    from components.reports.release.present import copy_presentation, present_release
    from components.tasks import open_task

    data = {"accepted": accepted, "prepared": prepared, "profile": profile}
    models = {"leaderboard": leaderboard, "tuned": tuned, "model": model, "evaluation": evaluation}
    artifacts = {**data, **models, "served": served, "release": release, "deployment": deployment}
    places = {name: Path(artifact.path) for name, artifact in artifacts.items()}
    settings = load_settings()
    task = open_task(fetch_problem(contract, settings))
    present_release(task, run_id, as_of, places, Path(summary.path))
    publish_release(open_store(settings), task.problem.name, as_of, run_id, Path(summary.path))
    copy_presentation(Path(summary.path), Path(report.path), Path(card.path))


@step
def report(
    contract: str,
    result: Input[Artifact],
    daily: Output[HTML],
    kpi: Output[HTML],
    reports: Output[Artifact],
):
    """Write the daily report and the KPI report of the window, with the trend over all windows."""
    from pathlib import Path

    from components.base.contract.stored import fetch_problem
    from components.base.settings import load_settings
    from components.reports.sources import copy_pages, report_window
    from components.tasks import open_task

    settings, folder = load_settings(), Path(reports.path)
    report_window(open_task(fetch_problem(contract, settings)), Path(result.path), settings, folder)
    copy_pages(folder, Path(daily.path), Path(kpi.path))


@step
def notify(
    pipeline: str,
    problem: str,
    as_of: str,
    run_id: str,
    run_name: str,
    created: str,
    due: str,
    status: PipelineTaskFinalStatus,
):
    """Record how the run ended, and why when it failed; the exporter and the alerts read it."""
    from components.base.adapters.s3 import open_store
    from components.base.settings import load_settings
    from components.data.run_end import ClusterRun, record_cluster_run

    run = ClusterRun(pipeline, problem, as_of or due, run_id, run_name, created, status.state)
    record_cluster_run(open_store(load_settings()), run)
