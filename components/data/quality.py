"""What the data of one run are worth: freshness, volume, references, outcomes, and the verdict with all its faults.

In: a DuckDB connection with a view of the accepted rows of each source, the contract and the snapshot. Out: the parts
of `quality.json` as plain dictionaries, ratios within 0 to 1, times in ISO 8601 UTC. Called by validation.
"""
# ruff: noqa: S608 - names and texts come from the checked contract and are quoted

from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import duckdb

from components.base.adapters.duckdb import quote_name
from components.base.contract.problem import Problem, Reference, Source
from components.data.classify_rows import orphans

# With one month before it, a ratio would say as much about that month as about the newest.
_FEWEST_EARLIER_MONTHS = 2
_SHOWN_ORPHANS = 5
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


def measure_freshness(
    connection: duckdb.DuckDBPyConnection, name: str, source: Source, as_of: datetime
) -> dict[str, Any] | None:
    """Return the age of the newest accepted row at `as_of`, against its limits; None without limits in the contract."""
    if source.freshness is None or source.available_at is None:
        return None
    newest_sql = f"SELECT max({quote_name(source.available_at)}) FROM {quote_name(name)}"
    (newest,) = connection.execute(newest_sql).fetchall()[0]
    age_hours = None if newest is None else (as_of - newest) / _HOUR
    limits = source.freshness
    status = "pass"
    if age_hours is None or age_hours > limits.stop_hours:
        status = "stop"
    elif age_hours > limits.warn_hours:
        status = "warn"
    return {
        "newest": None if newest is None else newest.astimezone(UTC).isoformat(),
        "age_hours": None if age_hours is None else round(age_hours, 2),
        "warn_hours": limits.warn_hours,
        "stop_hours": limits.stop_hours,
        "status": status,
    }


def measure_volume(
    connection: duckdb.DuckDBPyConnection, name: str, source: Source, as_of: datetime
) -> dict[str, Any] | None:
    """Return accepted rows a day of each month against the median of earlier months; None for a snapshot.

    Months without a row count as zero. The newest month that is over at `as_of` is judged: a running one may be half
    delivered.
    """
    if source.event_timestamp is None:
        return None
    event = quote_name(source.event_timestamp)
    by_month = f"SELECT date_trunc('month', {event}), count(*), min({event})"
    found = connection.execute(f"{by_month} FROM {quote_name(name)} GROUP BY 1 ORDER BY 1").fetchall()
    months = _months({_utc(start): rows for start, rows, _ in found}, _utc(found[0][2]), as_of) if found else []
    limits = source.volume
    rates: list[float] = []
    for month in months:
        month["ratio"] = _ratio(month["rows_per_day"], rates)
        month["status"] = _volume_status(source, month)
        rates.append(month["rows_per_day"])
    newest = next((month for month in reversed(months) if month["is_complete"]), None)
    is_judged = limits is not None and newest is not None and newest["ratio"] is not None
    return {
        "newest_month": newest["month"] if newest else None,
        "ratio": newest["ratio"] if newest else None,
        "minimum_ratio": limits.minimum_ratio if limits else None,
        "maximum_ratio": limits.maximum_ratio if limits else None,
        "status": "not judged" if not is_judged else "pass" if newest and newest["status"] == "pass" else "stop",
        "months": months,
    }


def _months(rows: dict[datetime, int], first_event: datetime, as_of: datetime) -> list[dict[str, Any]]:
    """Return every month from the first event to `as_of`, also those without a row."""
    months, start = [], min(rows)
    while start < as_of:
        end = (start + 32 * _DAY).replace(day=1)
        begin = max(start, first_event.replace(hour=0, minute=0, second=0, microsecond=0))
        days = max((min(end, as_of) - begin) / _DAY, 1.0)
        count = rows.get(start, 0)
        months.append(
            {
                "month": f"{start:%Y-%m}",
                "rows": count,
                "rows_per_day": round(count / days, 2),
                "is_complete": end <= as_of,
            }
        )
        start = end
    return months


def _ratio(rate: float, earlier: list[float]) -> float | None:
    usual = median(earlier) if len(earlier) >= _FEWEST_EARLIER_MONTHS else 0.0
    return round(rate / usual, 4) if usual else None


def _volume_status(source: Source, month: dict[str, Any]) -> str:
    if source.volume is None or month["ratio"] is None or not month["is_complete"]:
        return "pass"
    if month["ratio"] < source.volume.minimum_ratio:
        return "thin"
    return "thick" if month["ratio"] > source.volume.maximum_ratio else "pass"


def measure_reference(connection: duckdb.DuckDBPyConnection, name: str, reference: Reference) -> dict[str, Any]:
    """Return how many rows of a source refer to nothing, with the most frequent ones."""
    columns = [quote_name(column) for column in reference.columns]
    value = " || ', ' || ".join(f"r.{column}::VARCHAR" for column in columns)
    found = connection.execute(
        f"SELECT {value} AS value, count(*) AS rows FROM {orphans(name, reference)} GROUP BY 1 ORDER BY 2 DESC, 1"
    ).fetchall()
    given = " AND ".join(f"{column} IS NOT NULL" for column in columns)
    (total,) = connection.execute(f"SELECT count(*) FROM {name}_typed WHERE {given}").fetchall()[0]
    rows = sum(count for _, count in found)
    return {
        **reference.model_dump(),
        "rows": rows,
        "ratio": rows / total if total else 0.0,
        "distinct": len(found),
        "examples": [value for value, _ in found[:_SHOWN_ORPHANS]],
    }


def count_outcomes(connection: duckdb.DuckDBPyConnection, problem: Problem) -> dict[str, Any]:
    """Return the positive examples and the special cases of the target, in total and by month of the prediction."""
    source, target = problem.examples.source, problem.target
    cases = {"positive": target.expression, **target.outcomes}
    sums = ", ".join(f"count(*) FILTER (WHERE {sql}) AS {quote_name(case)}" for case, sql in cases.items())
    month = f"strftime(date_trunc('month', {quote_name(problem.examples.predicted_at)}), '%Y-%m')"
    select = f"count(*) AS rows, {sums} FROM {quote_name(source)}"
    names = ["rows", *cases]
    total = connection.execute(f"SELECT {select}").fetchall()[0]
    months = connection.execute(f"SELECT {month} AS month, {select} GROUP BY 1 ORDER BY 1").fetchall()
    return {
        "source": source,
        "target": target.name,
        "totals": dict(zip(names, total, strict=True)),
        "months": [dict(zip(["month", *names], row, strict=True)) for row in months],
    }


def source_faults(name: str, source: Source, report: dict[str, Any]) -> list[str]:
    """Return the hard limits of a source that its report breaks, in words."""
    faults = []
    if report["accepted"] == 0:
        faults.append(f"{name}: at least one row must be accepted, but none of {report['rows_in']:,} is.")
    if report["quarantine_ratio"] > source.maximum_quarantine_ratio:
        worst = "; ".join(f"{entry['rows']:,} rows: {entry['example']}" for entry in report["problems"][:3])
        faults.append(
            f"{name}: at most {source.maximum_quarantine_ratio:.2%} of the rows may be quarantined, but got "
            f"{report['quarantine_ratio']:.2%} ({report['quarantined']:,} of {report['rows_in']:,}). "
            f"Most often {worst}. Have the drop delivered again, or correct the contract."
        )
    freshness, volume = report["freshness"], report["volume"]
    if freshness and freshness["status"] == "stop" and report["accepted"]:
        faults.append(f"{name}: {_age_words(freshness, 'stop_hours')} Have the missing drops delivered.")
    if volume and volume["status"] == "stop":
        faults.append(
            f"{name}: the rows a day of {volume['newest_month']} must be {volume['minimum_ratio']:g} to "
            f"{volume['maximum_ratio']:g} times the median of earlier months, but got {volume['ratio']:.2f} times. "
            "Have the month delivered again."
        )
    return faults


def source_warnings(name: str, report: dict[str, Any]) -> list[str]:
    """Return what a person should look at, though the run goes on."""
    warnings = []
    freshness, volume = report["freshness"], report["volume"]
    if freshness and freshness["status"] == "warn":
        warnings.append(f"{name}: {_age_words(freshness, 'warn_hours')}")
    if report["missing_months"]:
        warnings.append(f"{name}: no drop came for {', '.join(report['missing_months'])}.")
    for month in volume["months"] if volume else []:
        if month["status"] != "pass" and month["month"] != volume["newest_month"]:
            warnings.append(
                f"{name}: {month['month']} has {month['ratio']:.2f} times the rows a day of the months before."
            )
    if report["unknown_columns"]:
        warnings.append(f"{name}: the contract does not name {', '.join(report['unknown_columns'])}, left out.")
    return warnings


def _age_words(freshness: dict[str, Any], limit: str) -> str:
    return (
        f"the newest row must be at most {freshness[limit]:g} hours old at as_of, but got "
        f"{freshness['age_hours']:g} hours (newest={freshness['newest']})."
    )


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
