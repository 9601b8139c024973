"""Bring the schema of MLflow's database up to date.

In: the database's URL. Out: tables that the installed MLflow can work with. Called by `tidemill bootstrap schema`, in
each pod of MLflow before its server starts. MLflow's own migration takes no lock: two pods at once would both create
the tables.
"""

from pathlib import Path

import psycopg

from components.base.errors import SettingsError, TransientError

_SCHEME = "postgresql+psycopg://"
# Any number that nobody else locks in this database.
_LOCK = 7_420_001


def upgrade_mlflow_schema(database: str) -> None:
    """Migrate the tables, or create them in an empty database; callers at the same time wait for each other.

    Args:
        database: `postgresql+psycopg://user:password@host:port/name`.

    Raises:
        SettingsError: it is no such URL.
        TransientError: the database does not answer.
    """
    if not database.startswith(_SCHEME):
        raise SettingsError(
            f"MLflow's database must be {_SCHEME}…, but got {database.partition(':')[0]}:…. Correct the Secret."
        )
    from mlflow.db import upgrade

    try:
        with psycopg.connect(f"postgresql://{database.removeprefix(_SCHEME)}", autocommit=True) as connection:
            connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
            upgrade.callback(database)
    except psycopg.OperationalError as error:
        raise TransientError(f"MLflow's database must answer, but got: {error}") from error


def newest_schema() -> str:
    """Return the version of the tables that the installed MLflow works with."""
    import mlflow
    from alembic.script import ScriptDirectory

    return str(ScriptDirectory(str(Path(mlflow.__file__).parent / "store" / "db_migrations")).get_current_head())
