"""Find what changed in the data since an earlier snapshot: categories, empty columns, units, volume.

In: an engine with the typed and the accepted rows of a source, and the quality report of the earlier snapshot. Out:
`DataChange`s. Called by validation. A change stops nothing: rows that break the contract are set aside before. A
column that is no longer delivered at all stops ingest.

Events: rows that are new, as their delivery is or as they became known since, are compared with the rows known in the
28 days before; a category is new when hardly an earlier row that was read has it. A snapshot is delivered as a whole:
all its rows are compared with the profile in the earlier report. Fewer than 100 rows are not compared.
"""
# ruff: noqa: S608 - names and texts come from the checked contract and are quoted

from collections.abc import Iterator
from datetime import datetime, timedelta
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from components.base.adapters.duckdb import quote_name, quote_text
from components.base.contract.problem import Source
from components.base.engine import Engine
from components.base.text.wording import name_first
from components.data.classify_rows import good_rows
from components.data.quality import ChangeKind, ColumnProfile, DataChange, Quality, SourceProfile
from components.data.row_sql import name_list
from components.data.units import LEVELS, find_conversion

_BEFORE = timedelta(days=28)
# Shares and quantiles of fewer rows say little.
_FEWEST_ROWS = 100
# A text with more values is a name or a number of something: it has new ones every day.
_MOST_CATEGORIES = 50
# What fewer rows have is a slip of the pen.
_FEWEST_OF_CATEGORY, _LEAST_SHARE_OF_CATEGORY = 3, 0.001
_EMPTY_RATIO, _MISSING_RISE = 0.99, 0.2
# Of the smallest or largest of the days before, so that weekends are no jumps.
_VOLUME_JUMP = 1.5
# A single day before says nothing of the others.
_FEWEST_DAYS = 7
# Of the deliveries with new rows: the others hold what became known late.
_NAMED, _NAMED_SHARE = 4, 0.05
_PROFILED = ("string", "int", "float")
_BATCH_ROWS = 100_000


def profile_snapshot(engine: Engine, name: str, source: Source) -> SourceProfile:
    """Profile all accepted rows of a source of kind `snapshot`."""
    return _profile(engine, source, f"(SELECT *, true AS _new FROM {quote_name(name)})")[True]


def find_changes(
    engine: Engine, name: str, source: Source, raw: str, profile: SourceProfile | None, earlier: Quality
) -> tuple[DataChange, ...]:
    """Return how the new rows of a source differ from those before.

    Args:
        engine: Holds the rows of the source as `classify_source` left them.
        name: Name of the source.
        source: Its contract.
        raw: The relation of its delivered rows, with `_id` and `_drop`.
        profile: Of a snapshot; None for events.
        earlier: The report of the earlier snapshot.
    """
    then = earlier.sources.get(name)
    if then is None:
        return ()
    if profile:
        return tuple(_compare_snapshots(name, source, then.profile, profile)) if then.profile else ()
    keys = [delivery.key for delivery in then.deliveries]
    place = _mark_new(engine, name, source, raw, keys, earlier.as_of)
    halves = _profile(engine, source, f"{name}_compared")
    known = _count_earlier(engine, name, source, halves[True])
    before = {
        column: found.model_copy(update={"categories": known.get(column, {})})
        for column, found in halves[False].columns.items()
    }
    compared = halves[False].model_copy(update={"columns": before}), halves[True]
    return (*_compare(name, source, *compared, place), *_compare_volume(engine, name, source, place))


def _compare_snapshots(name: str, source: Source, before: SourceProfile, now: SourceProfile) -> Iterator[DataChange]:
    place = "its newest delivery"
    yield from _compare(name, source, before, now, place)
    if not before.rows / _VOLUME_JUMP <= now.rows <= before.rows * _VOLUME_JUMP:
        yield _change(name, None, "volume", f"{name} has {now.rows:,} rows, and had {before.rows:,}", place)


def _mark_new(engine: Engine, name: str, source: Source, raw: str, keys: list[str], then: datetime) -> str:
    """Make the table of rows that are compared, with `_new`; return the words for where the new ones are.

    It is no temporary one, which the engine does not stream.
    """
    known_at, since = (
        quote_name(str(source.available_at)),
        f"{quote_text((then - _BEFORE).isoformat())}::TIMESTAMPTZ",
    )
    delivered = ", ".join(map(quote_text, keys)) or "''"
    engine.execute(
        f"CREATE OR REPLACE TABLE {name}_compared AS SELECT * FROM ("
        f"SELECT {name_list(source.columns)}, _drop, "
        f"_drop NOT IN ({delivered}) OR {known_at} > {quote_text(then.isoformat())}::TIMESTAMPTZ AS _new "
        f"FROM {good_rows(name)} JOIN (SELECT _id, _drop FROM {raw}) USING (_id)) WHERE _new OR {known_at} > {since}"
    )
    found = engine.execute(
        f"SELECT _drop, count(*) FROM {name}_compared WHERE _new GROUP BY 1 ORDER BY 2 DESC, 1"
    ).fetchall()
    rows = sum(count for _, count in found)
    places = [key.rpartition("landing/")[2] for key, count in found if count >= _NAMED_SHARE * rows]
    return name_first(places, _NAMED)


def _profile(engine: Engine, source: Source, rows_of: str) -> dict[bool, SourceProfile]:
    """Profile the rows of a relation by its column `_new`: those before, and the new ones."""
    event = quote_name(source.event_timestamp) if source.event_timestamp else "NULL::TIMESTAMPTZ"
    # A key is another one in every row.
    names = [name for name, column in source.columns.items() if name not in source.key and column.type in _PROFILED]
    counts = "".join(f", count({quote_name(name)})" for name in names)
    rows: dict[bool, tuple[int, ...]] = dict.fromkeys((False, True), (0,) * (1 + len(names)))
    for found in engine.execute(f"SELECT _new, count(*){counts} FROM {rows_of} GROUP BY 1").fetchall():
        rows[found[0]] = found[1:]
    columns: dict[bool, dict[str, ColumnProfile]] = {False: {}, True: {}}
    for place, name in enumerate(names, 1):
        if source.columns[name].type == "string":
            measured = _count_categories(engine, name, rows_of)
        else:
            measured = _measure_quantiles(engine, name, rows_of, event)
        for is_new, counted in rows.items():
            missing_ratio = 1 - counted[place] / counted[0] if counted[0] else 0.0
            columns[is_new][name] = ColumnProfile(missing_ratio=missing_ratio, **measured[is_new])
    return {is_new: SourceProfile(rows=counted[0], columns=columns[is_new]) for is_new, counted in rows.items()}


def _count_categories(engine: Engine, name: str, rows_of: str) -> dict[bool, dict[str, Any]]:
    """Return the rows by value, none where there are too many values for categories."""
    value = quote_name(name)
    found: dict[bool, dict[str, int]] = {}
    for is_new in (False, True):
        counted = engine.execute(
            f"SELECT {value}, count(*) FROM {rows_of} WHERE _new = {is_new} AND {value} IS NOT NULL GROUP BY 1 "
            f"ORDER BY 2 DESC, 1 LIMIT {_MOST_CATEGORIES + 1}"
        ).fetchall()
        found[is_new] = dict(counted) if len(counted) <= _MOST_CATEGORIES else {}
    return {is_new: {"categories": categories} for is_new, categories in found.items()}


def _measure_quantiles(engine: Engine, name: str, rows_of: str, event: str) -> dict[bool, dict[str, Any]]:
    """Return the quantiles of the numbers that are not 0, and the medians of their days; none where these are few."""
    value = f"{quote_name(name)}::DOUBLE"
    query = f"SELECT _new, {value} AS value, {event} AS event FROM {rows_of} WHERE {value} <> 0"
    table = engine.stream(query, _BATCH_ROWS).read_all()
    is_new, numbers, times = (table.column(place).to_numpy() for place in range(3))
    measured: dict[bool, dict[str, Any]] = {}
    for half in (False, True):
        own = numbers[is_new == half]
        if len(own) < _FEWEST_ROWS:
            measured[half] = {}
            continue
        days = pd.Series(own).groupby(times[is_new == half].astype("datetime64[D]")).median()
        quantiles = tuple(np.quantile(own, LEVELS, method="inverted_cdf").tolist())
        measured[half] = {"quantiles": quantiles, "days": (days.min(), days.max()) if len(days) else None}
    return measured


def _count_earlier(engine: Engine, name: str, source: Source, now: SourceProfile) -> dict[str, dict[str, int]]:
    """Return the rows by category of all accepted rows but the new ones, of columns that take few values."""
    earlier = {}
    for column, found in now.columns.items():
        if source.columns[column].type == "string" and found.categories:
            counted = engine.execute(
                f"SELECT {quote_name(column)}, count(*) FROM {quote_name(name)} WHERE {quote_name(column)} IS NOT NULL "
                "GROUP BY 1"
            ).fetchall()
            before = {value: rows - found.categories.get(value, 0) for value, rows in counted}
            earlier[column] = {value: rows for value, rows in before.items() if rows > 0}
    return earlier


def _compare(name: str, source: Source, before: SourceProfile, now: SourceProfile, place: str) -> Iterator[DataChange]:
    if min(before.rows, now.rows) < _FEWEST_ROWS:
        return
    for column, found in now.columns.items():
        if (known := before.columns.get(column)) is None:
            continue
        here = f"{name}.{column}"
        if found.missing_ratio - known.missing_ratio > _MISSING_RISE:
            kind: ChangeKind = "empty" if found.missing_ratio >= _EMPTY_RATIO else "missing"
            words = (
                f"{here} is {kind} in {found.missing_ratio:.1%} of the new rows, before in {known.missing_ratio:.1%}"
            )
            yield _change(name, column, kind, words, place)
        yield from _compare_categories(name, column, known, found, place)
        described = source.columns[column]
        # A whole number without a unit is a code or a month.
        has_unit = described.unit or described.type == "float"
        if has_unit and (conversion := find_conversion(known.quantiles, found.quantiles, described.unit, known.days)):
            yield _change(
                name, column, "unit",
                f"{here} has a median of {found.quantiles[4]:g} in the new rows, before {known.quantiles[4]:g}, as if "
                f"its unit had changed from {conversion.describe()}; the contract says {described.unit or 'none'}",
                place,
            )  # fmt: skip


def _compare_categories(
    name: str, column: str, known: ColumnProfile, found: ColumnProfile, place: str
) -> Iterator[DataChange]:
    if not known.categories or len(known.categories) > _MOST_CATEGORIES:
        return
    rows = sum(found.categories.values())
    least = max(_FEWEST_OF_CATEGORY, _LEAST_SHARE_OF_CATEGORY * rows)
    for value, count in found.categories.items():
        earlier = known.categories.get(value, 0)
        if count >= least and earlier < _FEWEST_OF_CATEGORY:
            words = (
                f"{name}.{column} has {value!r} in {count:,} of {rows:,} new rows, and in {earlier or 'none'} before"
            )
            yield _change(name, column, "category", words, place)


def _compare_volume(engine: Engine, name: str, source: Source, place: str) -> Iterator[DataChange]:
    """Compare the median day of new rows with the days before."""
    event = quote_name(str(source.event_timestamp))
    table = engine.stream(
        f"SELECT _new, {event} FROM {name}_compared WHERE {event} IS NOT NULL", _BATCH_ROWS
    ).read_all()
    is_new, times = table.column(0).to_numpy(), table.column(1).to_numpy().astype("datetime64[s]")
    # Whole days back from the newest event, at whatever hour the pipeline runs.
    _, days, rows = np.unique((times.max() - times) // np.timedelta64(1, "D"), return_inverse=True, return_counts=True)
    new = np.bincount(days, weights=is_new) / rows
    now, before = rows[new > 1 / 2].tolist(), rows[new == 0].tolist()
    if not now or len(before) < _FEWEST_DAYS:
        return
    rate, low, high = median(now), min(before), max(before)
    if low / _VOLUME_JUMP <= rate <= high * _VOLUME_JUMP:
        return
    words = f"{name} has {rate:,.0f} rows on a day of the new ones, and had {low:,} to {high:,} a day before"
    yield _change(name, None, "volume", words, place)


def _change(source: str, column: str | None, kind: ChangeKind, words: str, place: str) -> DataChange:
    return DataChange(source=source, column=column, kind=kind, words=f"{words} ({place}).")
