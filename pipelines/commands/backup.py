"""`tidemill backup`, `restore` and `drill`: keep an installation on a cluster, and bring it back. Called by `make`."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.options import Environment

Place = Annotated[str, typer.Argument(metavar="FOLDER", help="Folder, or s3://bucket/prefix by your AWS_* variables.")]
Secrets = Annotated[
    Path,
    typer.Option("--secrets", metavar="FILE", help="File of the passwords, in plain text: keep it like a password."),
]


def backup(env: Environment, place: Place, secrets: Secrets = Path("tidemill.secrets.json")) -> None:
    """Keep databases, bucket, online store and values in a folder or S3 prefix, and the passwords in one file.

    Nothing is stopped for it.

    [bold]Example[/]

    tidemill backup --env production s3://backups/tidemill/2026-05-01 --secrets /media/safe/2026-05-01.json
    """
    from pipelines.cluster.backup import back_up, writing_backup
    from pipelines.cluster.environment import load_environment

    environment = load_environment(env)
    with writing_backup(place) as folder:
        taken = back_up(environment, folder, secrets, typer.echo)
    typer.echo(f"{place}: the backup of {env} at {taken.taken_at}.")
    for name in taken.left_out:
        typer.echo(f"! The database {name} is not embedded, and not in it: its owner backs it up.")
    typer.echo(f"{secrets}: its passwords in plain text. Without this file the backup cannot be restored.")


def restore(env: Environment, place: Place, secrets: Secrets = Path("tidemill.secrets.json")) -> None:
    """Bring an installation back into an empty namespace, and compare it with what was kept.

    [bold]Example[/]

    tidemill restore --env production s3://backups/tidemill/2026-05-01 --secrets /media/safe/2026-05-01.json
    """
    from components.base.errors import PermanentError, raise_faults
    from pipelines.cluster.backup import reading_backup
    from pipelines.cluster.environment import load_environment
    from pipelines.cluster.restore import restore as bring_back

    environment = load_environment(env)
    with reading_backup(place) as folder:
        differences = bring_back(environment, folder, secrets, typer.echo)
    raise_faults(PermanentError, "restore", differences)
    typer.echo("Everything is as it was kept: objects, rulings, versions and the answers to golden rows.")


def drill(env: Environment) -> None:
    """Restore a fresh backup of an installation beside it, compare the two, time it, and delete it again.

    [bold]Example[/]

    tidemill drill --env production
    """
    from pipelines.cluster.drill import LIMIT_SECONDS, check_drill, run_drill
    from pipelines.cluster.environment import load_environment

    done = run_drill(load_environment(env), typer.echo)
    check_drill(done)
    typer.echo(
        f"Passed: same objects, rulings, versions and answers. Backup {done.backup_seconds:.0f} s, restore "
        f"{done.restore_seconds:.0f} s, of {LIMIT_SECONDS:.0f} s."
    )
