"""Fill the online store: after it, the endpoint reads exactly what was known at the newest `as_of`, and nothing later.

In: the settings, a problem, the feature tables and `as_of`. Out: a new filling of the online store, the registry with
the problem's declarations, and `Materialized`. Called by the `materialize` step.

The newest row of each entity is written to a draft, which is read back and compared with the tables, and then takes the
place of what the store held as a whole: a failure leaves the old filling, and a second run changes nothing. The
declarations are registered after that. A store that holds a newer `as_of` is left as it is; the result says so.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

from components.base.adapters.duckdb import connect_duckdb, explain_duckdb_errors, quote_name, quote_text
from components.base.contract.problem import Problem
from components.base.errors import DataError, raise_faults
from components.base.run_lock import require_run
from components.base.settings import Settings
from components.features.feast.feature_store import apply, declared_views, open_feature_store
from components.features.online.reader import OnlineFeatures, OnlineView, ServedFeatures
from components.features.online.store import open_online_store

_logger = logging.getLogger(__name__)
# Entities of each view that are read back: a fault of a whole view shows in any of them.
_SAMPLED_ENTITIES = 50


@dataclass(frozen=True)
class Materialized:
    """What the online store holds now."""

    entities: dict[str, int]
    """By view: entities with values."""
    as_of: datetime
    """UTC; the required time."""
    kept_from: datetime | None
    """The newer time whose filling the store held already and keeps; None when the store was filled."""


def fill_online_store(settings: Settings, problem: Problem, features_uri: str, as_of: datetime) -> Materialized:
    """Replace what the online store holds of a problem by the values known at `as_of`, and register the problem.

    Raises:
        DataError: what is read back differs from the feature tables.
        PermanentError: the online store is damaged, another filling began in the meantime, or the run is over.
        EndpointUnavailableError: the online store does not answer.
    """
    online_store, views = open_online_store(settings), declared_views(problem)
    held_as_of = online_store.held_as_of(problem.name)
    if held_as_of and held_as_of > as_of:
        _logger.info("materialize: the store already holds %s, kept", held_as_of)
        return Materialized(online_store.count_entities(problem.name, views), as_of, held_as_of)
    connection = connect_duckdb()
    entities: dict[str, int] = {}
    samples: dict[OnlineView, list[dict[str, Any]]] = {}
    with online_store.draft(problem.name, as_of) as draft:
        for view in views:
            rows = _newest_rows(connection, view, features_uri, as_of)
            entities[view.name] = draft.fill(view, rows)
            samples[view] = rows.slice(0, _SAMPLED_ENTITIES).to_pylist()
        # Compare what the endpoint would read with rows of the feature tables.
        online = OnlineFeatures(views, draft.open_reader(views))
        faults = [
            f"{view.name}: {fault}"
            for view, rows in samples.items()
            for row, served in zip(rows, online.read(rows), strict=True)
            for fault in _differences(view, row, served, as_of)
        ]
        raise_faults(DataError, "materialize", faults)
        require_run()
        draft.swap()
    # Only now, so that after a failure the registered declarations still describe what the store holds.
    apply(open_feature_store(settings, features_uri), problem)
    _logger.info("materialize: %s entities in %s views as of %s", sum(entities.values()), len(entities), as_of)
    return Materialized(entities, as_of, kept_from=None)


def _newest_rows(
    connection: duckdb.DuckDBPyConnection, view: OnlineView, features_uri: str, as_of: datetime
) -> pa.Table:
    """(entities, columns): the newest row of each entity that was known at `as_of`, by key."""
    keys = ", ".join(map(quote_name, view.keys))
    place = quote_text(f"{features_uri.rstrip('/')}/{view.name}.parquet")
    query = f"""
        SELECT * FROM read_parquet({place}) WHERE event_timestamp <= $as_of
        QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY event_timestamp DESC, created_timestamp DESC) = 1
        ORDER BY {keys}
    """  # noqa: S608 - names come from checked declarations and are quoted
    with explain_duckdb_errors(f"materialize {view.name}"):
        return connection.execute(query, {"as_of": as_of}).to_arrow_table()


def _differences(view: OnlineView, row: dict[str, Any], served: ServedFeatures, as_of: datetime) -> Iterator[str]:
    is_fresh = view.ttl_seconds is None or (as_of - row["event_timestamp"]).total_seconds() <= view.ttl_seconds
    entity = ", ".join(view.read_key(row))
    for feature in view.features:
        # `build` lets no NaN through, so a missing value is null in the table.
        wanted = row[feature.name] if is_fresh else None
        got = served.values[feature.name]
        if feature.name not in served.missing if wanted is None else got != wanted:
            yield f"`{feature.name}` of {entity} must be read back as {wanted!r}, but got {got!r}."
