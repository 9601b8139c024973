"""The snapshot of one ingest: one parquet per source, all columns as delivered, and `snapshot.json` with their origin.

Ingest writes it to the object store, validation reads it. Rows are in the order of landing, so that a later row is the
newer delivery. `snapshot.json` is written last: a prefix without it is no snapshot.
"""

import json
from datetime import datetime

from pydantic import ConfigDict, Field

from components.base.adapters.s3 import ObjectStore
from components.base.documents import Document
from components.base.errors import DataError, ObjectMissingError


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
    prefix: str = Field(exclude=True)
    """`s3://<bucket>/<problem>/snapshots/<fingerprint>/`"""

    def table_uri(self, source: str) -> str:
        """Return where the rows of a source are."""
        return f"{self.prefix}{source}.parquet"


def snapshot_bytes(snapshot: Snapshot) -> bytes:
    """Return `snapshot.json`: the same snapshot gives the same bytes in every place."""
    return snapshot.model_dump_json(indent=1).encode()


def read_snapshot(store: ObjectStore, prefix: str) -> Snapshot:
    """Read `snapshot.json` below a prefix.

    Raises:
        DataError: nothing, or an unfinished snapshot, lies there.
    """
    place = f"{prefix.rstrip('/')}/"
    try:
        content = store.get_bytes(f"{place}snapshot.json")
    except ObjectMissingError as error:
        raise DataError(f"{place}: snapshot.json must lie there, but does not. Run ingest again.") from error
    return Snapshot.model_validate({**json.loads(content), "prefix": place})
