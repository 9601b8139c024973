"""Measure the accepted rows against the contract: freshness, volume, references, outcomes, and the faults of a source.

In: an engine with a view of the accepted rows of each source, the contract and the snapshot. Out: the parts
of a `Quality`. Called by validation.
"""
# ruff: noqa: S608 - names and texts come from the checked contract and are quoted

from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Literal

from components.base.adapters.duckdb import quote_name
from components.base.contract.problem import Problem, Reference, Source, Volume
from components.base.engine import Engine
from components.base.text.wording import name_first
from components.data.classify_rows import orphans
from components.data.quality import (
    Age,
    MonthOutcomes,
    MonthRows,
    OutcomeRows,
    Outcomes,
    ReferenceRows,
    RowsPerDay,
    SourceQuality,
)

# Against a single month, a ratio would measure that month as much as the newest.
_FEWEST_EARLIER_MONTHS = 2
_SHOWN_ORPHANS = 5
# Months that a warning names; a source that fell silent years ago lacks hundreds.
_NAMED = 6
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


def measure_freshness(engine: Engine, name: str, source: Source, as_of: datetime) -> Age | None:
    """Return the age of the newest accepted row at `as_of`, against its limits; None without limits in the contract."""
    if source.freshness is None or source.available_at is None:
        return None
    newest_sql = f"SELECT max({quote_name(source.available_at)}) FROM {quote_name(name)}"
    (newest,) = engine.execute(newest_sql).fetchall()[0]
    age_hours = None if newest is None else (as_of - newest) / _HOUR
    limits = source.freshness
    status: Literal["pass", "warn", "stop"] = "pass"
    if age_hours is None or age_hours > limits.stop_hours:
        status = "stop"
    elif age_hours > limits.warn_hours:
        status = "warn"
    return Age(
        newest=None if newest is None else newest.astimezone(UTC),
        age_hours=None if age_hours is None else round(age_hours, 2),
        warn_hours=limits.warn_hours,
        stop_hours=limits.stop_hours,
        status=status,
    )


def measure_volume(engine: Engine, name: str, source: Source, as_of: datetime) -> RowsPerDay | None:
    """Return accepted rows a day of each month against the median of earlier months; None for a snapshot.

    Months without a row count as zero. The status is that of the newest month that is over at `as_of`: a running one
    may be half delivered.
    """
    if source.event_timestamp is None:
        return None
    event = quote_name(source.event_timestamp)
    by_month = f"SELECT date_trunc('month', {event}), count(*), min({event})"
    found = engine.execute(f"{by_month} FROM {quote_name(name)} GROUP BY 1 ORDER BY 1").fetchall()
    rows = {start.astimezone(UTC): count for start, count, _ in found}
    months = _measure_months(rows, found[0][2].astimezone(UTC), as_of, source.volume) if found else []
    limits = source.volume
    newest = next((month for month in reversed(months) if month.is_complete), None)
    status: Literal["pass", "stop", "not judged"] = "not judged"
    if limits and newest and newest.ratio is not None:
        status = "pass" if newest.status == "pass" else "stop"
    elif limits and newest and months.index(newest) >= _FEWEST_EARLIER_MONTHS:
        # Of months without rows there is no ratio; a hard limit that cannot be judged does not hold.
        status = "stop"
    return RowsPerDay(
        newest_month=newest.month if newest else None,
        ratio=newest.ratio if newest else None,
        minimum_ratio=limits.minimum_ratio if limits else None,
        maximum_ratio=limits.maximum_ratio if limits else None,
        status=status,
        months=tuple(months),
    )


def _measure_months(
    rows: dict[datetime, int], first_event: datetime, as_of: datetime, limits: Volume | None
) -> list[MonthRows]:
    """Return every month from the first event to `as_of`, also those without a row."""
    months: list[MonthRows] = []
    start = min(rows)
    while start < as_of:
        end = (start + 32 * _DAY).replace(day=1)
        begin = max(start, first_event.replace(hour=0, minute=0, second=0, microsecond=0))
        count = rows.get(start, 0)
        rate = round(count / max((min(end, as_of) - begin) / _DAY, 1.0), 2)
        usual = median(month.rows_per_day for month in months) if len(months) >= _FEWEST_EARLIER_MONTHS else 0.0
        ratio = round(rate / usual, 4) if usual else None
        status: Literal["pass", "thin", "thick"] = "pass"
        if limits and ratio is not None and end <= as_of:
            if ratio < limits.minimum_ratio:
                status = "thin"
            elif ratio > limits.maximum_ratio:
                status = "thick"
        months.append(
            MonthRows(
                month=f"{start:%Y-%m}",
                rows=count,
                rows_per_day=rate,
                is_complete=end <= as_of,
                ratio=ratio,
                status=status,
            )
        )
        start = end
    return months


def measure_reference(engine: Engine, name: str, reference: Reference) -> ReferenceRows:
    """Return how many rows of a source refer to nothing, with the most frequent ones."""
    columns = [quote_name(column) for column in reference.columns]
    value = " || ', ' || ".join(f"r.{column}::VARCHAR" for column in columns)
    found = engine.execute(
        f"SELECT {value} AS value, count(*) AS rows FROM {orphans(name, reference)} GROUP BY 1 ORDER BY 2 DESC, 1"
    ).fetchall()
    given = " AND ".join(f"{column} IS NOT NULL" for column in columns)
    (total,) = engine.execute(f"SELECT count(*) FROM {name}_typed WHERE {given}").fetchall()[0]
    rows = sum(count for _, count in found)
    return ReferenceRows(
        **reference.model_dump(),
        rows=rows,
        ratio=rows / total if total else 0.0,
        distinct=len(found),
        examples=tuple(value for value, _ in found[:_SHOWN_ORPHANS]),
    )


def count_outcomes(engine: Engine, problem: Problem) -> Outcomes:
    """Return the examples by the cases of the contract, in total and by month of the prediction."""
    source, target, cases = problem.examples.source, problem.target, problem.outcome_cases
    sums = "".join(f", count(*) FILTER (WHERE {sql}) AS {quote_name(case)}" for case, sql in cases.items())
    month = f"strftime(date_trunc('month', {quote_name(problem.examples.predicted_at)}), '%Y-%m')"
    select = f"count(*) AS rows{sums} FROM {quote_name(source)}"
    names = ["rows", *cases]
    total = engine.execute(f"SELECT {select}").fetchall()[0]
    months = engine.execute(f"SELECT {month} AS month, {select} GROUP BY 1 ORDER BY 1").fetchall()
    return Outcomes(
        source=source,
        target=target.name,
        totals=OutcomeRows(**dict(zip(names, total, strict=True))),
        months=tuple(MonthOutcomes(**dict(zip(["month", *names], row, strict=True))) for row in months),
    )


def find_faults(name: str, source: Source, quality: SourceQuality) -> list[str]:
    """Return the hard limits of a source that its rows break, in words."""
    faults = []
    if quality.accepted == 0:
        faults.append(f"{name}: at least one row must be accepted, but none of {quality.rows_in:,} is.")
    if quality.quarantine_ratio > source.maximum_quarantine_ratio:
        worst = "; ".join(f"{fault.rows:,} rows: {fault.example}" for fault in quality.problems[:3])
        faults.append(
            f"{name}: at most {source.maximum_quarantine_ratio:.2%} of the rows may be quarantined, but got "
            f"{quality.quarantine_ratio:.2%} ({quality.quarantined:,} of {quality.rows_in:,}). "
            f"Most often {worst}. Have the file delivered again, or correct the contract."
        )
    freshness, volume = quality.freshness, quality.volume
    if freshness and freshness.status == "stop" and quality.accepted:
        faults.append(f"{name}: {_age_words(freshness, freshness.stop_hours)} Have the missing files delivered.")
    if volume and volume.status == "stop" and volume.ratio is None:
        faults.append(
            f"{name}: the rows a day of {volume.newest_month} must be {volume.minimum_ratio:g} to "
            f"{volume.maximum_ratio:g} times the median of earlier months, but that is 0 rows: the volume cannot be "
            "judged. Have the missing months delivered, or correct the times of the rows."
        )
    elif volume and volume.status == "stop":
        faults.append(
            f"{name}: the rows a day of {volume.newest_month} must be {volume.minimum_ratio:g} to "
            f"{volume.maximum_ratio:g} times the median of earlier months, but got {volume.ratio:.2f} times. "
            "Have the month delivered again."
        )
    return faults


def find_warnings(name: str, quality: SourceQuality, is_whole: bool) -> list[str]:
    """Return what a person should look at, though the run continues.

    Args:
        name: Of the source.
        quality: Of its rows.
        is_whole: Whether the rows are its whole history, and not only the end that refresh and monitoring read.
    """
    warnings = []
    freshness, volume = quality.freshness, quality.volume
    if freshness and freshness.status == "warn":
        warnings.append(f"{name}: {_age_words(freshness, freshness.warn_hours)}")
    # A delivery may hold more than the month in which its period begins.
    held = {month.month for month in volume.months if month.rows} if volume else set()
    if missing := [month for month in quality.missing_months if month not in held]:
        warnings.append(f"{name}: nothing was delivered for {name_first(missing, _NAMED)}.")
    unusual = [
        f"{month.month} has {month.ratio:.2f} times the rows a day of the months before"
        for month in (volume.months if volume else ())
        if volume and month.status != "pass" and month.month != volume.newest_month
    ]
    warnings += [f"{name}: {words}." for words in unusual[:_NAMED]]
    if len(unusual) > _NAMED:
        warnings.append(f"{name}: {len(unusual) - _NAMED:,} more months have as unusual numbers of rows.")
    if volume and volume.minimum_ratio is not None and volume.status == "not judged" and is_whole:
        warnings.append(
            f"{name}: the volume is not judged: its limits need a whole month and {_FEWEST_EARLIER_MONTHS} before it."
        )
    warnings += [change.words for change in quality.changes]
    if quality.unknown_columns:
        warnings.append(f"{name}: the contract does not name {name_first(quality.unknown_columns)}, left out.")
    return warnings


def _age_words(age: Age, limit: float) -> str:
    newest = age.newest.isoformat() if age.newest else None
    return (
        f"the newest row must be at most {limit:g} hours old at as_of, but got {age.age_hours:g} hours "
        f"(newest={newest})."
    )
