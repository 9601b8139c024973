"""KFP face of the monitoring phase."""

from kfp.dsl import Artifact, Input, Output

from components.base.step import step


@step
def monitor(
    problem: Input[Artifact], accepted: Input[Artifact], features_uri: str, as_of: str, result: Output[Artifact]
):
    """Judge what was served in the window before `as_of`."""
    from pathlib import Path

    from components.base.contract.load import read_problem
    from components.base.settings import load_settings
    from components.base.times import parse_time
    from components.monitoring.monitor import monitor_window, publish_result

    settings, moment = load_settings(), parse_time(as_of)
    found = monitor_window(read_problem(problem.path), Path(accepted.path), features_uri, moment, settings)
    publish_result(found, settings, Path(result.path))
