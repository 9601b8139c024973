"""KFP faces of the watch phase, in the order they run."""

from kfp.dsl import HTML, Artifact, Input, Output

from components.base.step import step


@step
def monitor(
    problem: Input[Artifact], accepted: Input[Artifact], features_uri: str, as_of: str, result: Output[Artifact]
):
    """Judge what was served in the window before `as_of`."""
    from pathlib import Path

    from components.base.problem import read_problem
    from components.base.settings import load_settings
    from components.data.snapshot import parse_moment
    from components.watch.monitor import monitor_window, publish_result

    settings, moment = load_settings(), parse_moment(as_of)
    found = monitor_window(read_problem(problem.path), Path(accepted.path), features_uri, moment, settings)
    publish_result(found, settings, Path(result.path))


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

    from components.base.problem import read_problem
    from components.base.settings import load_settings
    from components.watch.report_sources import copy_pages, report_window

    folder = Path(reports.path)
    report_window(read_problem(problem.path), Path(result.path), load_settings(), folder)
    copy_pages(folder, Path(daily.path), Path(kpi.path))
