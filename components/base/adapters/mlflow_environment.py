"""Prepare what MLflow takes from its surroundings, and word the error when these do not answer.

In: the settings. Out: environment variables of this process, a checked database and the place of artifacts.
Called by `base/adapters/mlflow.py` alone; knows no SDK.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.base.errors import TransientError
from components.base.settings import Settings

_SQLITE = "sqlite:///"
# MLflow's own defaults phone home, draw progress bars and retry a dead server for four minutes.
_OPTIONS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
}


@contextmanager
def mlflow_environment(settings: Settings) -> Iterator[None]:
    """Set MLflow's options and its way to the artifact store until the end of the block.

    MLflow and its boto3 read these from the environment and nowhere else.
    """
    before = dict(os.environ)
    wanted = settings.child_environment()
    os.environ.update({name: value for name, value in wanted.items() if name.startswith(("AWS_", "MLFLOW_"))})
    for name, value in _OPTIONS.items():
        os.environ.setdefault(name, value)
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


def check_database(uri: str, where: str) -> None:
    """Open an SQLite database before MLflow does, which would retry a wrong path for more than a minute.

    Raises:
        TransientError: the file cannot be made, opened or read.
    """
    if not uri.startswith(_SQLITE):
        return
    path = Path(uri.removeprefix(_SQLITE))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA schema_version")
        connection.close()
    except (OSError, sqlite3.Error) as error:
        raise TransientError(
            f"{where}: {path} must be a readable SQLite database, but got: {error}. "
            "Free or repair it, or correct TIDEMILL_MLFLOW_URI, then run again."
        ) from error


def artifact_place(problem: str, settings: Settings) -> str:
    """Return the URI of the folder of a problem's artifacts: on the object store, or in the home without one."""
    root = f"s3://{settings.bucket}/mlflow" if settings.s3 else (settings.home / "mlflow").as_uri()
    return f"{root}/{problem}"


def unavailable(where: str, settings: Settings, error: Exception) -> TransientError:
    """Build the error of a tracking server or artifact store that does not answer."""
    store = settings.s3.url if settings.s3 else settings.home
    # The URI may hold a password.
    scheme, _, rest = settings.mlflow_uri.partition("://")
    server = f"{scheme}://…@{rest.rpartition('@')[2]}" if "@" in rest else settings.mlflow_uri
    return TransientError(
        f"{where}: MLflow at {server} and its artifacts at {store} must answer, "
        f"but got {type(error).__name__}: {error} Start what is down, or correct TIDEMILL_MLFLOW_URI, then run again."
    )
