"""How much of the history a pipeline reads. The whole rule is here.

The rule
    training     reads everything.
    refresh      reads the rows that became known in the `refresh.history_days` before `as_of`.
    monitoring   reads as much before the first prediction that it judges, and before the time up to which the champion
                 was trained: it counts the labels that came since.
    A contract without `refresh.history_days` makes every pipeline read everything.

In: the contract, the pipeline, and `as_of`. Out: the time `since`, and the deliveries and rows that follow from it.
Called by ingest, which reads no delivery that it does not need, and by validation, which filters rows that are older.
Nothing is carried over from one run to the next: late deliveries, corrections, fixed contracts and lost files change
the answer of the next run as they change that of a full one.

The time of a row is the last of its times: of its event, of its availability, and of its label. A row with a time in
the far future keeps its delivery needed until then, which costs time, no rows. Rows of one key compete
in the order of landing; so ingest reads all deliveries from the first that holds a row known since then, and validation
compares keys before it filters. A source of kind `snapshot` has no history, and one that decides which rows of others
are quarantined is read whole.
"""
# ruff: noqa: S608 - names and texts come from the checked contract and are quoted

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import duckdb

from components.base.adapters import mlflow as tracking
from components.base.adapters.duckdb import explain_duckdb_errors, quote_name, quote_text
from components.base.adapters.s3 import ObjectStore
from components.base.contract.problem import Problem
from components.base.errors import ObjectMissingError
from components.base.runner import Pipeline
from components.base.settings import Settings
from components.base.times import parse_time
from components.data.deliveries import ConvertedDelivery, delivered_sql
from components.data.landing import Delivery
from components.data.row_sql import delivered_names, typed_sql

log = logging.getLogger(__name__)


def find_since(problem: Problem, pipeline: Pipeline, as_of: datetime, settings: Settings) -> datetime | None:
    """Return the time since which a pipeline reads rows; None when it reads everything.

    Raises:
        TransientError: the registry does not answer; only monitoring needs it.
    """
    if problem.refresh.history_days is None or pipeline == "training":
        return None
    first = as_of
    if pipeline == "monitoring":
        trained_as_of = find_trained_as_of(problem, settings)
        if trained_as_of is None:
            return None
        first = min(first_judged(problem, as_of), trained_as_of)
    return first - timedelta(days=problem.refresh.history_days)


def first_judged(problem: Problem, as_of: datetime) -> datetime:
    """Return the time of the first prediction whose label a monitoring run looks for.

    The window and, before it, labels that were overdue at the run before by as long again: windows without overlap
    would never see them.
    """
    limits = problem.monitoring
    return as_of - timedelta(days=limits.window_days) - 2 * timedelta(hours=limits.label_delay_hours)


def find_trained_as_of(problem: Problem, settings: Settings) -> datetime | None:
    """Return the time up to which the champion was trained; None without a champion, which the monitor refuses."""
    version = tracking.find_aliases(problem.name, settings).get("champion")
    if version is None:
        return None
    return parse_time(tracking.find_version(problem.name, version, settings).tags["as_of"])


def since_of(problem: Problem, name: str, since: datetime | None) -> datetime | None:
    """Return the time since which the rows of one source are read; None when it is read whole."""
    decisive = {
        reference.source
        for source in problem.sources.values()
        for reference in source.references
        if reference.orphans == "quarantine"
    }
    is_whole = problem.sources[name].kind == "snapshot" or name in decisive
    return None if is_whole else since


def older_sql(problem: Problem, name: str, since: datetime | None) -> str | None:
    """Return the condition that a row of a source is older than the history that is read; None: no row is."""
    start = since_of(problem, name, since)
    return None if start is None else f"{_time_sql(problem, name)} < {quote_text(start.isoformat())}::TIMESTAMPTZ"


def choose_deliveries(
    problem: Problem,
    landed: Mapping[str, Sequence[Delivery]],
    converted: Mapping[str, ConvertedDelivery],
    since: datetime | None,
    tools: tuple[ObjectStore, duckdb.DuckDBPyConnection],
) -> dict[str, list[Delivery]]:
    """Return the deliveries of each source that must be read: in order of landing, from the first that is new enough.

    Of a source without any the newest is read, so that validation says how old it is.
    """
    chosen = {}
    for name, deliveries in landed.items():
        chosen[name] = list(deliveries)
        if (start := since_of(problem, name, since)) is not None:
            newest = _newest_rows(problem, name, [converted[delivery.key] for delivery in deliveries], tools)
            needed = [
                place for place, delivery in enumerate(deliveries) if (time := newest[delivery.key]) and time >= start
            ]
            chosen[name] = list(deliveries[min([*needed, len(deliveries) - 1]) :])
    return chosen


def _newest_rows(
    problem: Problem,
    name: str,
    deliveries: Sequence[ConvertedDelivery],
    tools: tuple[ObjectStore, duckdb.DuckDBPyConnection],
) -> dict[str, datetime | None]:
    """Return the time of the newest row of each delivery by key; None when no row has one.

    Each delivery is looked at once: what was found is kept beside the converted deliveries, by the rule that the
    contract has for it, so that a changed contract finds nothing. Losing it costs time, no rows.
    """
    store, connection = tools
    rule = f"max({_time_sql(problem, name)}) FILTER (isfinite({_time_sql(problem, name)}))"
    source = problem.sources[name]
    how = f"{rule} {typed_sql(source, 'raw')} {delivered_names(source)}"
    digits = hashlib.sha256(how.encode()).hexdigest()[:16]
    place = f"{problem.name}/drops/newest-{name}-{digits}.json"
    try:
        kept: dict[str, str | None] = json.loads(store.get_bytes(place))
    except ObjectMissingError:
        kept = {}
    known = len(kept)
    for delivery in deliveries:
        if delivery.uri not in kept:
            rows = typed_sql(source, delivered_sql(source, [delivery]))
            with explain_duckdb_errors(delivery.key):
                (newest,) = connection.execute(f"SELECT {rule} FROM ({rows})").fetchall()[0]
            kept[delivery.uri] = newest.astimezone(UTC).isoformat() if newest else None
    if len(kept) > known:
        store.put_bytes(place, json.dumps(kept, indent=1, sort_keys=True).encode())
    found = {delivery.key: kept[delivery.uri] for delivery in deliveries}
    return {key: parse_time(text) if text else None for key, text in found.items()}


def _time_sql(problem: Problem, name: str) -> str:
    """Return the last of the times of a row of events, as SQL over its typed columns."""
    source, examples = problem.sources[name], problem.examples
    label_at = examples.label_at if name == examples.source else None
    times = dict.fromkeys(time for time in (source.available_at, source.event_timestamp, label_at) if time)
    return f"greatest({', '.join(map(quote_name, times))})"
