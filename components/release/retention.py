"""Find what is old enough to go, and delete it: snapshots, feature tables and logged predictions of a problem.

In: the contract's `keep`, the time, object store and registry. Out: what expired; then it is gone. Called by
`tidemill prune`. Deliveries, reports, records of runs and the registry stay: all of the rest is made of them.

Never deleted is what a version in charge needs, so that it can be rolled back to and built again: the snapshot and
feature tables of each version that holds an alias and of the champion before. Nor are the newest of each kind, which
the online store was filled from.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from components.base.adapters import mlflow as tracking
from components.base.adapters.s3 import ObjectStore, StoredObject
from components.base.contract.problem import Problem
from components.base.errors import ModelRefusedError
from components.base.settings import Settings
from components.data.snapshot import MARKER as SNAPSHOT_MARKER
from components.features.build import MARKER as FEATURES_MARKER
from components.serving.prediction_log.schema import predictions_prefix

_MARKERS = (SNAPSHOT_MARKER, FEATURES_MARKER)


@dataclass(frozen=True)
class Expired:
    """One folder of the object store that nobody has used for as long as the contract keeps it."""

    uri: str
    keys: tuple[str, ...]
    """Its objects. The one that makes it visible comes first, so that a folder half deleted is none."""
    last_used: datetime
    size_bytes: int


def find_expired(problem: Problem, now: datetime, store: ObjectStore, settings: Settings) -> list[Expired]:
    """Return what a problem keeps no longer, the oldest first.

    Raises:
        TransientError: the registry does not answer.
        StoreUnavailableError: the object store does not.
    """
    keep, name = problem.keep, problem.name
    found: list[Expired] = []
    if keep.snapshot_days is not None:
        needed = _find_needed(problem, settings)
        for part in ("snapshots", "features"):
            folders = list(_list_folders(store, f"{name}/{part}/"))
            newest = max((folder.last_used for folder in folders), default=now)
            limit = min(newest, now - timedelta(days=keep.snapshot_days))
            found += [folder for folder in folders if folder.last_used < limit and folder.uri not in needed]
    if keep.prediction_days is not None:
        limit = now - timedelta(days=keep.prediction_days)
        found += [day for day in _list_folders(store, predictions_prefix(name)) if day.last_used < limit]
    return sorted(found, key=lambda folder: folder.last_used)


def delete_expired(expired: Iterable[Expired], store: ObjectStore) -> None:
    """Delete the objects of each folder; what is gone already is no error."""
    for folder in expired:
        for key in folder.keys:
            store.delete(key)


def _find_needed(problem: Problem, settings: Settings) -> set[str]:
    """Return the folders that versions in charge were made of, as URIs without a slash at the end."""
    versions = set(tracking.find_aliases(problem.name, settings).values())
    # Without one, the champion is the first, or there is none.
    with suppress(ModelRefusedError):
        versions.add(tracking.find_previous_champion(problem.name, settings))
    tags = [tracking.find_version(problem.name, version, settings).tags for version in versions]
    return {tag[part].rstrip("/") for tag in tags for part in ("snapshot", "features") if part in tag}


def _list_folders(store: ObjectStore, prefix: str) -> Iterator[Expired]:
    """Group the objects below a prefix by their first folder."""

    def folder_of(entry: StoredObject) -> str:
        return prefix + entry.key.removeprefix(prefix).split("/")[0]

    for folder, entries in groupby(store.list_objects(prefix), folder_of):
        yield _describe(store.uri(folder), list(entries))


def _describe(uri: str, entries: Sequence[StoredObject]) -> Expired:
    keys = sorted((entry.key for entry in entries), key=lambda key: not key.endswith(_MARKERS))
    last_used = max(entry.modified_at for entry in entries)
    return Expired(uri, tuple(keys), last_used, sum(entry.size_bytes for entry in entries))
