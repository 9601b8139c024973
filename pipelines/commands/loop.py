"""`tidemill loop`: simulate the half year after the first release. Called by `make loop`."""

from typing import Annotated

import typer


def loop(
    months: Annotated[int, typer.Option(min=1, max=6, help="Months to simulate after the first release.")] = 6,
) -> None:
    """Simulate half a year on one machine: traffic, late labels, drift, alerts, retraining and a second release.

    Takes about eight minutes for six months. Everything lives in <TIDEMILL_HOME>/loop, which is deleted first. Alerts
    fire only where Prometheus and Alertmanager are installed (apt-get install prometheus prometheus-alertmanager).

    [bold]Examples[/]

    tidemill loop

    tidemill loop --months 1
    """
    from pipelines.simulation.simulate import simulate

    simulate(months)
