"""KFP component of the monitoring phase."""

from kfp.dsl import Artifact, Input, Output

from components.base.step import step


@step
def monitor(contract: str, accepted: Input[Artifact], features_uri: str, as_of: str, result: Output[Artifact]):
    """Monitor what was served in the window before `as_of`."""
    from pathlib import Path

    from components.base.contract.stored import fetch_problem
    from components.base.documents import read
    from components.base.settings import load_settings
    from components.base.times import parse_time
    from components.data.quality import Quality
    from components.monitoring.findings.collect import add_changes
    from components.monitoring.monitor import monitor_window, publish_result
    from components.tasks import open_task

    settings = load_settings()
    task = open_task(fetch_problem(contract, settings))
    folder = Path(accepted.path)
    quality = read(Quality, folder / "quality.json")
    found = monitor_window(task, folder, features_uri, parse_time(as_of), settings, quality.since)
    publish_result(task, add_changes(task.problem, found, quality.changes), settings, Path(result.path))
