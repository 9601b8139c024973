"""`tidemill bootstrap`: what an installation needs before its first run.

Called by the chart: `all` by the Job of each installation and upgrade, `schema` by each pod of MLflow. All of it may be
repeated: what is there stays as it is.
"""

import logging
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from components.base.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from components.base.contract.problem import Problem
    from components.base.settings import Settings

log = logging.getLogger(__name__)
_PAUSE_SECONDS = 3.0

app = typer.Typer(
    help="Prepare the stores of an installation; the chart calls it.", no_args_is_help=True, rich_markup_mode="rich"
)
_Timeout = Annotated[float, typer.Option(min=0, help="How long the stores may take until they answer.")]


@app.command("all")
def prepare_all(
    timeout_seconds: _Timeout = 600.0,
    schedules: Annotated[bool, typer.Option(help="Also make the recurring runs of the contracts.")] = True,
) -> None:
    """Make the bucket, register the features of every problem, and schedule its runs.

    [bold]Example[/]

    tidemill bootstrap all --timeout-seconds 600
    """
    from components.base.adapters.s3 import open_store
    from components.base.contract.load import load_problems
    from components.base.settings import load_settings
    from pipelines.commands.schedules import apply_schedules

    settings = load_settings()
    problems = load_problems(settings.problems)
    deadline = time.monotonic() + timeout_seconds
    repeat_until("bucket", open_store(settings).ensure_bucket, deadline)
    typer.echo(f"bucket: {settings.bucket} is there")
    for problem in problems.values():
        register = partial(_register_features, settings, problem)
        repeat_until("features", register, deadline)
        typer.echo(f"features: {problem.name} is registered")
    if schedules:
        repeat_until("schedules", partial(apply_schedules, plan=False), deadline)


def _register_features(settings: "Settings", problem: "Problem") -> None:
    from components.features.feast.feature_store import apply, open_feature_store

    apply(open_feature_store(settings), problem)


@app.command("schema")
def prepare_schema(
    database_file: Annotated[Path, typer.Option(help="File with the URL of MLflow's database, a Secret's.")],
    timeout_seconds: _Timeout = 600.0,
) -> None:
    """Bring the tables of MLflow's database up to date, before its server starts.

    [bold]Example[/]

    tidemill bootstrap schema --database-file /etc/tidemill/mlflow/uri
    """
    from components.base.adapters.mlflow_schema import upgrade_mlflow_schema

    database = database_file.read_text(encoding="utf-8").strip()
    repeat_until("schema", lambda: upgrade_mlflow_schema(database), time.monotonic() + timeout_seconds)
    typer.echo("schema: MLflow's tables are up to date")


def repeat_until(what: str, work: Callable[[], object], deadline: float) -> None:
    """Do the work, again and again while what it needs does not answer.

    Raises:
        PermanentError: at once; repeating it would be useless.
        TransientError: the deadline, in seconds of the monotonic clock, has passed.
    """
    while True:
        try:
            work()
        except PermanentError:
            raise
        # Feast passes on the errors of its drivers as they are: at the start of an installation any of them may pass.
        except Exception as error:
            words = str(error).strip().split("\n")[0][:300]
            if time.monotonic() > deadline:
                raise TransientError(f"{what}: it must be done in time, but the last try got: {words}") from error
            log.warning("%s: waits: %s", what, words)
            time.sleep(_PAUSE_SECONDS)
        else:
            return
