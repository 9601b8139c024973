"""Names that the platform gives to columns itself: a column of a contract or a feature must have another one.

Called by `rules.py` for the contract, and where features are declared. A contract test holds the lists against the
tables that are written, so that a new column of the platform is not forgotten here.
"""

from collections.abc import Iterator

LINEAGE = ("_drop", "_row", "_fault")
"""What ingest adds to each delivered row: the key of its file, its line, and why it could not be read."""
OF_FILES = frozenset({"filename", "file_row_number"})
"""DuckDB's own names in a parquet file: no source may have such a column."""
OF_ROWS = OF_FILES | {
    *("predicted_at", "label_at", "row_hash", "role"),
    *("event_timestamp", "created_timestamp", "entity_row"),
}
"""Of prepared rows and of the point-in-time join: neither request columns, nor features, nor the target."""
OF_LOG = frozenset(
    {
        *("request_id", "row", "event_time", "logged_at", "label_due_at", "model_version", "decision"),
        *("sampling_ratio", "label", "recorded_at", "version", "is_changed"),
    }
)
"""Of the prediction log and of the ledger of labels: no request columns."""
OF_OUTCOMES = frozenset({"rows", "month", "positive"})
"""Of the count of outcomes: no special case of the target."""
LOG_PREFIXES = ("output__", "feature__", "age_seconds__")
"""Begin the names of what the prediction log holds beside the request."""


def taken_from(name: str, taken: frozenset[str]) -> Iterator[str]:
    """Yield in words that a name is one of the platform's; compared without regard to case, as SQL does."""
    if name.lower() in taken:
        yield f"must not be named {name!r}, which the platform uses itself. Rename it."


def taken_from_requests(name: str) -> Iterator[str]:
    """Yield in words that a request column has a name of the platform."""
    yield from taken_from(name, OF_ROWS | OF_LOG)
    if name.startswith(LOG_PREFIXES):
        yield f"must not begin with {', '.join(LOG_PREFIXES)}, as columns of the prediction log do, but got {name!r}."
