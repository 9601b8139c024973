"""The online store: where the endpoint finds the newest known features, and how all of them are replaced at once.

In: the settings, whose `online_store` is a path (SQLite) or a URL (Redis). Out: an `OnlineStore`. Called by
`materialize`, the predictor and the smoke test; `open_online_store` is the only place that decides which kind it is.

Both kinds make the same promise, and `tests/contracts/test_online_store.py` holds both to it: readers see the old
filling or the new one, each as a whole; a filling that fails or is killed leaves the old one; what it leaves behind is
removed by the next; of two fillings at the same time the one that began first fails.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from components.base.contract.problem import Problem
from components.base.documents import Document
from components.base.settings import Settings
from components.features.feast.feature_store import is_redis, registered_views
from components.features.online.reader import OnlineFeatures, OnlineReader, OnlineView
from components.features.online.sqlite import SqliteStore


class Draft(Protocol):
    """A filling that nobody reads yet."""

    def fill(self, view: OnlineView, rows: pa.Table) -> int:
        """Write a view and return its entities.

        Args:
            view: Written once in a draft.
            rows: (entities, columns): one row an entity, with the keys and features of the view, `event_timestamp`
                and `created_timestamp`.
        """

    def open_reader(self, views: Sequence[OnlineView]) -> OnlineReader:
        """Open the draft for reading, to check it."""

    def swap(self) -> None:
        """Put the draft in the place of what the store held.

        Raises:
            PermanentError: another filling began in the meantime and removed this one.
        """


class OnlineStore(Protocol):
    """Holds one filling of each problem."""

    def held_as_of(self, problem: str) -> datetime | None:
        """Return the `as_of` that the store was filled with, in UTC; None when it never was.

        Raises:
            PermanentError: the store is damaged.
            EndpointUnavailableError: the store does not answer.
        """

    def count_entities(self, problem: str, views: Sequence[OnlineView]) -> dict[str, int]:
        """Return the entities of each view; a view that the filling lacks has none."""

    def draft(self, problem: str, as_of: datetime) -> AbstractContextManager[Draft]:
        """Begin a filling; at the end of the block it is removed unless it was swapped."""

    def open_reader(self, problem: str, views: Sequence[OnlineView]) -> OnlineReader:
        """Open the store for reading.

        Raises:
            PermanentError: the store was not filled, or lacks a view.
            EndpointUnavailableError: the store does not answer.
        """


def open_online_store(settings: Settings) -> OnlineStore:
    """Open the online store of an installation."""
    place = settings.online_store
    if not is_redis(place):
        return SqliteStore(Path(place))
    # Imported here: the client takes 0.15 s, which a process without Redis need not wait for.
    from components.features.online.redis import RedisStore

    return RedisStore(place)


class ServedViews(Document):
    """The views that a model reads, beside it: a predictor that has them needs neither Feast nor its registry."""

    views: tuple[OnlineView, ...]
    """As declared when the model was trained, by name."""


def open_online_features(
    problem: Problem, settings: Settings, views: Sequence[OnlineView] | None = None
) -> OnlineFeatures:
    """Open views of a problem for reading, at the time that the online store was filled with.

    Args:
        problem: The contract.
        settings: Where online store and registry are.
        views: Those to read; None: as the last filling registered them.

    Raises:
        PermanentError: the online store was not filled.
        EndpointUnavailableError: the online store does not answer.
    """
    views = registered_views(problem, settings) if views is None else views
    return OnlineFeatures(views, open_online_store(settings).open_reader(problem.name, views))
