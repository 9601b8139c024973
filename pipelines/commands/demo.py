"""`tidemill demo`: the whole way on this machine, without a cluster. Called by `make demo`."""

from pipelines.commands.options import DEMO_PROBLEM, AsOf, Problem


def demo(problem: Problem = DEMO_PROBLEM, as_of: AsOf = None) -> None:
    """Train, judge and deploy a model on this machine; flight-delays does it twice, a month apart.

    Takes about four minutes. Ends with the verdict and the path of the report.

    [bold]Examples[/]

    tidemill demo

    tidemill demo --as-of 2013-07-01

    tidemill demo --problem flight-minutes

    tidemill demo --problem wine --as-of 2026-10-01
    """
    from pipelines.commands.run import run_pipelines

    run_pipelines("training", problem, as_of)
