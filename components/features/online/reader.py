"""Look up the newest known features of the entities in request rows, fast enough to do it in every request.

In: rows with the keys of the entities, the views, and a reader of the online store. Out: one `ServedFeatures` a row, in
order. Called by the predictor and by `materialize`; knows neither Feast nor the kind of store.

Semantics are the same for every store, because they are applied here: a value older than its view's time to live is
missing, an unknown entity is missing and named, features are ordered by name, each entity is read once however many
rows name it. The age of each view's values comes with them, for monitoring.
"""

import math
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from components.base.contract.types import ColumnType
from components.base.dataset import Feature
from components.base.values import write_text

# Entities of a view that are kept in memory: a day of flights has some thousands.
_CACHED_ENTITIES = 50_000
_HOUR_SECONDS = 3600
Value = float | str | None
Key = tuple[str, ...]
"""Of an entity: the texts of its values, as `base/values.py` writes them."""


@dataclass(frozen=True)
class OnlineView:
    """One feature view as the online store holds it."""

    name: str
    keys: tuple[str, ...]
    """Columns of a request row that name the entity."""
    features: tuple[Feature, ...]
    ttl_seconds: float | None
    """Age above which a value is missing; None: a value never expires."""
    look_back_seconds: float | None = None
    """Age, at the time of a row, of the oldest event that its values depend on; None: it is not declared."""
    key_types: tuple[ColumnType, ...] = ()
    """Of the keys, in their order; empty: all are texts."""

    def read_key(self, row: Mapping[Any, Any]) -> Key:
        """Return the key of the entity that a row of the feature table is about; no part of it may be missing."""
        return tuple([str(write_text(row[name])) for name in self.keys])


class Filling(NamedTuple):
    """When the online store was filled, and with what."""

    as_of: float
    """Seconds since 1970 UTC: nothing later is in the store."""
    filled_at: float
    """Seconds since 1970 UTC, by the wall clock."""

    def now(self) -> float:
        """Return the time at which ages are counted, seconds since 1970 UTC.

        It is the wall clock, moved so that it showed `as_of` when the store was filled: a store that is refreshed with
        the present is read at the present, one that holds the past at its own time, and without a refresh both grow
        old. Whole hours, so that two reads shortly after each other agree on what has expired.
        """
        return self.as_of + (time.time() - self.filled_at) // _HOUR_SECONDS * _HOUR_SECONDS


class Found(NamedTuple):
    """What the online store holds of one entity in one view."""

    known_at: float
    """Event time of the values in whole seconds since 1970 UTC."""
    values: Mapping[str, Any]
    """Features of the view by name, without those that are null."""


class Lookup(NamedTuple):
    """What one read found, all of it from the same filling."""

    read_at: float
    """Time at which ages are counted, seconds since 1970 UTC."""
    found: Mapping[str, Mapping[Key, Found]]
    """By view: the entities that the store knows."""


class ServedFeatures(NamedTuple):
    """The features of one request row."""

    values: dict[str, Value]
    """By name in alphabetical order; a missing number is NaN, a missing text None."""
    missing: tuple[str, ...]
    """Names of features without a value: unknown entity, too old, or never observed."""
    ages: dict[str, float | None]
    """By view: seconds since the values were known, expired ones included; None for an unknown entity."""
    expired: tuple[str, ...]
    """Views whose values are older than their time to live."""
    read_at: float
    """Time at which ages are counted, seconds since 1970 UTC."""


class OnlineReader(Protocol):
    """Reads the views of one problem from an online store."""

    def read(self, wanted: Mapping[str, Sequence[Key]]) -> Lookup:
        """Return what is known of the wanted entities of each view.

        Raises:
            EndpointUnavailableError: the online store cannot be read.
        """


class OnlineFeatures:
    """The features of a service, read row by row."""

    def __init__(self, views: Sequence[OnlineView], reader: OnlineReader) -> None:
        """Prepare what does not depend on the request."""
        self._views = list(views)
        self._reader = reader
        self._key_columns = tuple(dict.fromkeys(view.keys for view in views))
        features = [feature for view in views for feature in view.features]
        self._empty: dict[str, Value] = {
            feature.name: math.nan if feature.kind == "numeric" else None
            for feature in sorted(features, key=lambda feature: feature.name)
        }

    @property
    def names(self) -> list[str]:
        """Names of the features that `read` returns, in its order."""
        return list(self._empty)

    @property
    def view_names(self) -> tuple[str, ...]:
        """Names of the views, in the order of `ServedFeatures.ages`."""
        return tuple([view.name for view in self._views])

    def read(self, rows: Sequence[Mapping[str, Any]]) -> list[ServedFeatures]:
        """Look up rows that hold the entities' keys; a row that lacks a key gets that view's features as missing."""
        keys_by_columns = {columns: [_entity_key(row, columns) for row in rows] for columns in self._key_columns}
        known_by_columns = {
            columns: [key for key in dict.fromkeys(keys) if key is not None]
            for columns, keys in keys_by_columns.items()
        }
        now, found_by_view = self._reader.read({view.name: known_by_columns[view.keys] for view in self._views})
        values = [dict(self._empty) for _ in rows]
        ages: list[dict[str, float | None]] = [{} for _ in rows]
        expired: list[tuple[str, ...]] = [()] * len(rows)
        for view in self._views:
            found = found_by_view[view.name]
            oldest = -math.inf if view.ttl_seconds is None else now - view.ttl_seconds
            for i, key in enumerate(keys_by_columns[view.keys]):
                entity = None if key is None else found.get(key)
                ages[i][view.name] = None if entity is None else now - entity.known_at
                if entity is None:
                    continue
                if entity.known_at >= oldest:
                    values[i].update(entity.values)
                else:
                    expired[i] += (view.name,)
        # NaN is the one value that differs from itself.
        missing = [
            tuple([name for name, value in row.items() if value is None or value != value])  # noqa: PLR0124
            for row in values
        ]
        return [ServedFeatures(*parts, now) for parts in zip(values, missing, ages, expired, strict=True)]


class CachingReader(ABC):
    """Keeps what was read until the store changes; a subclass reads one kind of store.

    Every read compares the state of the store first, so a new filling is used from the next read on, and what one read
    returns never comes from two fillings.
    """

    def __init__(self, views: Sequence[OnlineView]) -> None:
        """Start with an empty cache."""
        self._views = {view.name: view for view in views}
        self._lock = threading.Lock()
        self._state: Any = None
        self._cached: dict[str, dict[Key, Found | None]] = {}

    @abstractmethod
    def _fetch(self, wanted: Mapping[str, Sequence[Key]]) -> tuple[Any, Filling | None, dict[str, dict[Key, Found]]]:
        """Read the state of the store, its filling, and the wanted entities as they are in that state.

        Entities need not be read when the state differs from `self._state`: they are read again.
        """

    def read(self, wanted: Mapping[str, Sequence[Key]]) -> Lookup:
        """Return what is known of the wanted entities of each view, from one filling.

        Raises:
            EndpointUnavailableError: the online store cannot be read.
        """
        with self._lock:
            for entities in self._cached.values():
                if len(entities) > _CACHED_ENTITIES:
                    entities.clear()
            while True:
                unread: dict[str, list[Key]] = {}
                for name, keys in wanted.items():
                    cached = self._cached.get(name, {})
                    if new := [key for key in keys if key not in cached]:
                        unread[name] = new
                state, filling, found = self._fetch(unread)
                if state == self._state:
                    break
                self._state, self._cached = state, {name: {} for name in self._views}
            for name, keys in unread.items():
                self._cached[name].update((key, found[name].get(key)) for key in keys)
            return Lookup(
                time.time() if filling is None else filling.now(),
                {
                    name: {key: entity for key in keys if (entity := self._cached[name][key]) is not None}
                    for name, keys in wanted.items()
                },
            )


def _entity_key(row: Mapping[str, Any], columns: Iterable[str]) -> Key | None:
    """Return the texts that name the entity; None when one is missing."""
    parts = [write_text(row.get(column)) for column in columns]
    texts = tuple([part for part in parts if part])
    return texts if len(texts) == len(parts) else None
