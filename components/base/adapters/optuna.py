"""Keep the trials of a search in Optuna's tables, so that a search that was killed goes on where it was.

In: a database, and a name that says all that the search depends on. Out: an Optuna study there, to which `tune` adds
each trial, and which holds those of an earlier process. Optuna's dashboard shows it too.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from components.base.errors import TransientError
from components.base.settings import Settings

if TYPE_CHECKING:
    from optuna import Study

_SDKS = {"optuna", "sqlalchemy", "psycopg"}


@dataclass(frozen=True)
class TrialStorage:
    """Where trials are kept."""

    url: str = field(repr=False)
    """SQLAlchemy URL."""
    program: str
    """The image of the steps: trials of another one may have been scored otherwise."""


def find_storage(settings: Settings) -> TrialStorage | None:
    """Return where trials are kept; None where the settings name no database for them."""
    return TrialStorage(settings.study_database, settings.image or "") if settings.study_database else None


@contextmanager
def open_journal(storage: TrialStorage | None, name: str, direction: str) -> Iterator["Study | None"]:
    """Open the study of this name, new or of an earlier process, and close its connections after the block.

    Args:
        storage: None gives None.
        name: Of the study.
        direction: `maximize` or `minimize`.

    Raises:
        TransientError: the database does not answer, within the block too.
    """
    if storage is None:
        yield None
        return
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    database = None
    try:
        # Between two batches lie minutes, in which a database may have restarted.
        database = optuna.storages.RDBStorage(storage.url, engine_kwargs={"pool_pre_ping": True})
        yield optuna.create_study(storage=database, study_name=name, direction=direction, load_if_exists=True)
    except Exception as error:
        if type(error).__module__.split(".")[0] not in _SDKS:
            raise
        raise TransientError(
            f"tune {name}: the database of trials must answer, but got {type(error).__name__}: {error} "
            "Start it, or correct TIDEMILL_STUDY_DATABASE, then run again: the trials so far are kept."
        ) from error
    finally:
        if database is not None:
            database.remove_session()
            database.engine.dispose()
