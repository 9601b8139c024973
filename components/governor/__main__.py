"""Start the governor: `python -m components.governor --port 8080`, or `tidemill govern`. Ends with SIGTERM or Ctrl-C.

The one module in components that imports pipelines: it gives the governor the runner that starts trainings. On one
machine it uses the object store that TIDEMILL_S3_ENDPOINT names, or the embedded one of its home.
"""

import logging
import signal
import sys
from typing import Annotated

import typer

from components.base.errors import TidemillError


def govern(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 in a pod.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 0,
    tick_seconds: Annotated[float, typer.Option(min=0.1, help="Time between two passes over alerts and runs.")] = 5.0,
    schedules: Annotated[
        bool, typer.Option(help="Start refresh and monitoring as the contracts schedule them, where no cluster does.")
    ] = True,
) -> None:
    """Run the governor: it takes alerts, rules on retraining, starts trainings and follows them. Ends with Ctrl-C.

    On one machine it also is the clock of refresh and monitoring.

    Secrets and database: TIDEMILL_GOVERNOR_TOKEN_FILE, TIDEMILL_GOVERNOR_HMAC_FILE, TIDEMILL_GOVERNOR_DATABASE.

    [bold]Example[/]

    tidemill govern --port 8080
    """
    from components.base.contract.load import load_problems
    from components.base.home_lock import hold_alone
    from components.base.settings import load_settings
    from components.governor.server import assemble, open_newest_result, serve
    from pipelines.runners import open_runner
    from pipelines.runners.services import embedded_services

    # Supervisors end programs by SIGTERM: leave the blocks below in order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = load_settings()
    problems = load_problems(settings.problems)
    try:
        with hold_alone(settings.home, "governor"), embedded_services(settings):
            # The services have written their addresses into the environment.
            settings = load_settings()
            runner = open_runner(settings)
            is_clock = schedules and not runner.keeps_schedules
            governor = assemble(settings, problems, runner, open_newest_result(settings), is_clock=is_clock)
            serve(governor, host, port, tick_seconds)
    except KeyboardInterrupt:
        typer.echo("governor: it has ended. Runs that it started go on, and the next `tidemill govern` follows them.")


if __name__ == "__main__":
    try:
        typer.run(govern)
    except TidemillError as error:
        sys.exit(str(error))
