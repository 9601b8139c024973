"""The console command `tidemill`: every command of the platform, one file each beside this one.

In: the words of the command line. Out: an exit code: 0 done, 1 an error of the platform, 2 a wrong command line, and of
a signal its number and 128. Called as `tidemill`, as `python -m pipelines.commands` by processes that start runs, and
by `make`. The files of the commands import their work when they run, so that `--help` and completion stay fast.
"""

from collections.abc import Sequence

import typer
from rich.console import Console

from components.base.errors import StepFailedError, TidemillError
from pipelines.commands import (
    adopt,
    backup,
    bootstrap,
    compare_places,
    compile,  # noqa: A004 - the command's name
    demo,
    demo_data,
    deploy,
    doctor,
    generate,
    govern,
    image,
    land,
    loop,
    platform,
    promote,
    prune,
    reproduce,
    requeue,
    rollback,
    rulings,
    run,
    runs,
    schedules,
    serve,
    status,
    stores,
    submit,
    ui,
    why,
)
from pipelines.commands.ending import describe_disk_fault, end_in_words, interruptible

_START, _DATA, _WATCH, _BUILD = "Start here", "Data", "Serve and watch", "Build"
_CLUSTER = "An installation on a cluster"

app = typer.Typer(
    name="tidemill",
    help="From one problem contract to a monitored model.",
    epilog=(
        "Where things are is set by the environment: TIDEMILL_HOME (default .tidemill), TIDEMILL_PROBLEMS (folder of "
        "the contracts), TIDEMILL_S3_ENDPOINT and TIDEMILL_MLFLOW_URI (default: services of this machine). "
        "components/base/settings.py lists all. First steps: tidemill demo, then tidemill serve and tidemill ui."
    ),
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
for panel, name, function in (
    (_START, "demo", demo.demo),
    (_START, "run", run.run),
    (_START, "submit", submit.submit),
    (_START, "loop", loop.loop),
    (_DATA, "land", land.land),
    (_DATA, "demo-data", demo_data.demo_data),
    (_DATA, "requeue", requeue.requeue),
    (_DATA, "adopt", adopt.adopt),
    (_WATCH, "serve", serve.serve),
    (_WATCH, "promote", promote.promote),
    (_WATCH, "rollback", rollback.rollback),
    (_WATCH, "ui", ui.ui),
    (_WATCH, "govern", govern.govern),
    (_WATCH, "runs", runs.runs),
    (_WATCH, "compare-places", compare_places.compare_places),
    (_WATCH, "reproduce", reproduce.reproduce),
    (_WATCH, "why", why.why),
    (_WATCH, "prune", prune.prune),
    (_CLUSTER, "doctor", doctor.doctor),
    (_CLUSTER, "platform", platform.platform),
    (_WATCH, "status", status.status),
    (_CLUSTER, "deploy", deploy.deploy),
    (_CLUSTER, "upgrade", deploy.upgrade),
    (_CLUSTER, "undeploy", deploy.undeploy),
    (_CLUSTER, "backup", backup.backup),
    (_CLUSTER, "restore", backup.restore),
    (_CLUSTER, "drill", backup.drill),
    (_BUILD, "generate", generate.generate),
    (_BUILD, "compile", compile.compile_pipeline),
):
    app.command(name, rich_help_panel=panel)(end_in_words(name, function))
app.add_typer(rulings.app, name="rulings", rich_help_panel=_WATCH)
app.add_typer(schedules.app, name="schedules", rich_help_panel=_WATCH)
app.add_typer(stores.app, name="stores", rich_help_panel=_CLUSTER)
app.add_typer(image.app, name="image", rich_help_panel=_BUILD)
app.add_typer(bootstrap.app, name="bootstrap", rich_help_panel=_BUILD)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; show an error of the platform as words, never as a traceback."""
    try:
        with interruptible():
            app(args=None if arguments is None else list(arguments), prog_name="tidemill")
    except StepFailedError:
        return 1  # The run has shown which step failed, and why.
    except TidemillError as error:
        _show_error(str(error))
        return 1
    except OSError as error:
        words = describe_disk_fault(error)
        if words is None:
            raise
        _show_error(words)
        return 1
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    return 0


def _show_error(words: str) -> None:
    Console(stderr=True).print(words, style="red", markup=False, highlight=False)
