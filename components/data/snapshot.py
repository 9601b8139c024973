"""The snapshot of one ingest: one parquet per source, all columns as delivered, and `snapshot.json` that says whence.

Ingest writes it to the object store, validation reads it. Rows stand in the order of landing, so that a later row is
the newer delivery. `snapshot.json` is written last: a prefix without it is no snapshot.
"""

import json
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from components.base.adapters.s3 import ObjectStore
from components.base.errors import DataError, ObjectMissingError


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DropRows(_Frozen):
    """What one drop gave."""

    key: str
    period: str = Field(description="ISO date of the first day that it delivers")
    rows: int = Field(description="rows in the drop")
    not_yet_available: int = Field(description="rows left out because nobody could know them at `as_of`")


class SourceRows(_Frozen):
    """One source in the snapshot."""

    rows: int
    drops: tuple[DropRows, ...] = Field(description="oldest first")
    missing_months: tuple[str, ...] = Field(description="months without a drop up to `as_of`; events only")
    unknown_columns: tuple[str, ...] = Field(description="delivered, not in the contract, left out")
    sha256: str = Field(description="of the parquet file")

    @property
    def not_yet_available(self) -> int:
        """Rows left out of all drops because nobody could know them at `as_of`."""
        return sum(drop.not_yet_available for drop in self.drops)


class Snapshot(_Frozen):
    """One immutable state of all sources."""

    problem: str
    as_of: datetime
    fingerprint: str
    sources: dict[str, SourceRows]
    prefix: str = Field(exclude=True, description="`s3://<bucket>/<problem>/snapshots/<fingerprint>/`")

    def table_uri(self, source: str) -> str:
        """Return where the rows of a source are."""
        return f"{self.prefix}{source}.parquet"


def snapshot_bytes(snapshot: Snapshot) -> bytes:
    """Return `snapshot.json`: the same snapshot gives the same bytes, wherever it lies."""
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
