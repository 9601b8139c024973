"""The snapshot of one ingest: one parquet per source, all columns as delivered, and `snapshot.json` with their origin.

Ingest writes it to the object store, validation reads it. Rows are in the order of landing, so that a later row is the
newer delivery. `snapshot.json` is written last: a prefix without it is no snapshot.
"""

import hashlib
import json
from datetime import datetime
from pathlib import Path

from pydantic import ConfigDict, Field

from components.base.adapters.s3 import ObjectStore
from components.base.documents import Document
from components.base.errors import DataError, ObjectMissingError, raise_faults
from components.base.tables import fingerprint_file

MARKER = "snapshot.json"
"""Its time is that of the snapshot's last use."""


class DeliveryRows(Document):
    """What one delivery contributed."""

    key: str
    """Key of the file in the object store."""
    period: str
    """ISO date of the first day that it delivers."""
    rows: int
    """Rows in the file."""
    not_yet_available: int
    """Rows left out because nobody could know them at `as_of`."""


class SnapshotSource(Document):
    """One source in the snapshot."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    rows: int
    deliveries: tuple[DeliveryRows, ...] = Field(validation_alias="drops", serialization_alias="drops")
    """Oldest first."""
    missing_months: tuple[str, ...]
    """Months without a delivery up to `as_of`; events only."""
    unknown_columns: tuple[str, ...]
    """Delivered, not in the contract, left out."""
    sha256: str
    """Of the parquet file."""

    @property
    def not_yet_available(self) -> int:
        """Rows left out of all deliveries because nobody could know them at `as_of`."""
        return sum(delivery.not_yet_available for delivery in self.deliveries)


class Snapshot(Document):
    """One immutable state of all sources."""

    problem: str
    as_of: datetime
    fingerprint: str
    """64 hexadecimal digits over all other fields."""
    sources: dict[str, SnapshotSource]
    since: datetime | None = None
    """Only deliveries with a row known since then were read, see `history.py`; None: all were."""
    prefix: str = Field(exclude=True)
    """`s3://<bucket>/<problem>/snapshots/<fingerprint>/`"""

    def table_uri(self, source: str) -> str:
        """Return where the rows of a source are."""
        return f"{self.prefix}{source}.parquet"


def snapshot_bytes(snapshot: Snapshot) -> bytes:
    """Return `snapshot.json`: the same snapshot gives the same bytes in every place."""
    return snapshot.model_dump_json(indent=1).encode()


def fingerprint_snapshot(snapshot: Snapshot) -> str:
    """Return the SHA-256 over all that a snapshot says of itself, which holds that of every table."""
    return hashlib.sha256(snapshot_bytes(snapshot.model_copy(update={"fingerprint": ""}))).hexdigest()


def read_snapshot(store: ObjectStore, prefix: str) -> Snapshot:
    """Read `snapshot.json` below a prefix.

    Raises:
        DataError: nothing, or an unfinished snapshot, lies there.
    """
    place = f"{prefix.rstrip('/')}/"
    try:
        content = store.get_bytes(f"{place}{MARKER}")
    except ObjectMissingError as error:
        raise DataError(f"{place}: snapshot.json must lie there, but does not. Run ingest again.") from error
    return Snapshot.model_validate({**json.loads(content), "prefix": place})


def download_snapshot(store: ObjectStore, prefix: str, folder: Path) -> Snapshot:
    """Fetch a snapshot into a folder, every byte as it was ingested; its prefix is the folder.

    Raises:
        DataError: nothing lies there, or a table or the description was edited since; all are named.
    """
    snapshot = read_snapshot(store, prefix)
    faults = []
    if fingerprint_snapshot(snapshot) != snapshot.fingerprint:
        faults.append("snapshot.json must be as it was ingested, but was edited.")
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in snapshot.sources.items():
        table = store.get_file(snapshot.table_uri(name), folder / f"{name}.parquet")
        if fingerprint_file(table) != source.sha256:
            faults.append(f"{name}.parquet must be as it was ingested, but was edited.")
    raise_faults(DataError, f"snapshot {prefix}", faults)
    return snapshot.model_copy(update={"prefix": f"{folder}/"})
