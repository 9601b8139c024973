"""Rules of the problem contract that cross sections: names must exist, SQL must parse, limits must be in order.

In: a `Problem` whose schema holds. Out: faults as (field, words), all of them. Called by `base/contract/load.py`.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from math import ceil

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from components.base.contract.names import LINEAGE, OF_FILES, OF_OUTCOMES, OF_ROWS, taken_from, taken_from_requests
from components.base.contract.problem import Problem, Reference, Source
from components.base.contract.upgrade import Location
from components.base.errors import ContractError, suggest_name
from components.base.schedule import find_next
from components.base.statistics.resampling import FEWEST_DAYS
from components.base.values import KEY_TYPES

Fault = tuple[Location, str]


def find_faults(problem: Problem) -> list[Fault]:
    """Check the rules across sections and return every fault."""
    rules = (
        _name_rules,
        _source_rules,
        _example_rules,
        _feature_rules,
        _assumption_rules,
        _limit_rules,
        _watch_rules,
    )
    return [fault for rule in rules for fault in rule(problem)]


def find_cautions(problem: Problem) -> list[Fault]:
    """Return what holds and is allowed, but makes results worth less than they look."""
    days = problem.split.test_days
    if days >= FEWEST_DAYS:
        return []
    words = (
        f"should be at least {FEWEST_DAYS}, but is {days}: on fewer days the intervals of a release are too narrow, "
        "for rows of one day depend on each other. Its gates pass and fail by chance more often than they say."
    )
    return [(("split", "test_days"), words)]


def _unknown(loc: Location, names: Iterable[str], known: Iterable[str], of: str) -> Iterator[Fault]:
    options = list(known)
    for name in names:
        if name not in options:
            yield loc, f"must name {of}, but got {name!r}.{suggest_name(name, options)}"


def _sql_faults(loc: Location, sql: str, known: Iterable[str], of: str) -> Iterator[Fault]:
    try:
        columns = {column.name for column in sqlglot.parse_one(sql, dialect="duckdb").find_all(exp.Column)}
    except SqlglotError as error:
        yield loc, f"must be one DuckDB expression, but got {sql!r}: {str(error).splitlines()[0]}"
        return
    yield from _unknown(loc, sorted(columns), known, of)


def _name_rules(problem: Problem) -> Iterator[Fault]:
    """Check that no column has the name of one that the platform adds."""
    for source, declared in problem.sources.items():
        for name in declared.columns:
            yield from ((("sources", source, "columns", name), words) for words in taken_from(name, OF_FILES))
    examples, target = problem.examples, problem.target.name
    for name in dict.fromkeys([*examples.key, *examples.request]):
        yield from ((("examples", "request"), words) for words in taken_from_requests(name))
    for name in problem.features.request:
        yield from ((("features", "request", name), words) for words in taken_from(name, OF_ROWS))
    yield from ((("target", "name"), words) for words in taken_from(target, OF_ROWS))
    if target in (*examples.key, *examples.request, *problem.features.request):
        yield ("target", "name"), f"must differ from request columns and features, but got {target!r}. Rename it."
    for name in problem.target.outcomes:
        yield from ((("target", "outcomes", name), words) for words in taken_from(name, OF_OUTCOMES))


def _source_rules(problem: Problem) -> Iterator[Fault]:
    for name, source in problem.sources.items():
        loc: Location = ("sources", name)
        columns = f"a column of {name}"
        yield from _unknown((*loc, "key"), source.key, source.columns, columns)
        yield from _key_rules((*loc, "key"), source.key, source)
        for field in ("event_timestamp", "available_at"):
            value = getattr(source, field)
            yield from _timestamp((*loc, field), [value] if value else [], source, columns)
        if source.kind == "events" and not (source.event_timestamp and source.available_at):
            yield loc, "must have event_timestamp and available_at when its kind is events."
        delivered = [name for name, column in source.columns.items() if column.expression is None]
        for column_name, column in source.columns.items():
            here = (*loc, "columns", column_name)
            if column.expression is not None:
                yield from _sql_faults(here, column.expression, delivered, f"{columns} as delivered")
            yield from _ordered(here, column.minimum, column.maximum)
            yield from _day_rules(here, source, column_name)
        for index, rule in enumerate(source.filters):
            yield from _sql_faults((*loc, "filters", index), rule.drop_when, source.columns, columns)
        yield from _delivery_rules(loc, source)
        yield from _reference_rules(problem, loc, source, columns)


def _delivery_rules(loc: Location, source: Source) -> Iterator[Fault]:
    """Check what the contract says of the files of a source."""
    if source.format != "csv":
        for field in sorted({"delimiter", "encoding"} & source.model_fields_set):
            yield (*loc, field), f"must be left out for {source.format}: only CSV has one."
    taken: dict[str, str] = {}
    for name, column in source.columns.items():
        here: Location = (*loc, "columns", name)
        if column.expression is not None:
            given = [field for field in ("delivered_as", "since") if getattr(column, field) is not None]
            yield from (((*here, field), "must be left out of a derived column: no file holds it.") for field in given)
            continue
        if column.since and not column.nullable:
            yield (*here, "since"), "must be of a nullable column, which is NULL before, but it is not nullable."
        yield from _delivered_name_rules((*here, "delivered_as"), name, column.delivered_as or name, taken)


def _delivered_name_rules(loc: Location, name: str, own: str, taken: dict[str, str]) -> Iterator[Fault]:
    """Check the name of a column in the files against those before it: DuckDB does not tell names apart by case."""
    other = taken.setdefault(own.lower(), name)
    if own.lower() in LINEAGE:
        yield loc, f"must be none of {', '.join(LINEAGE)}, which ingest adds, but got {own!r}."
    elif other != name:
        yield loc, f"must be another name in the file than that of {other}, but got {own!r}."


def _day_rules(loc: Location, source: Source, name: str) -> Iterator[Fault]:
    if source.columns[name].type != "timestamp":
        for field in ("earliest", "latest"):
            if getattr(source.columns[name], field) is not None:
                yield (*loc, field), f"must be given for a timestamp only, but {name} is {source.columns[name].type}."
        return
    first, last = source.plausible_days(name)
    if first and last and first > last:
        yield loc, f"must have its earliest day before the latest, but got {first} > {last}."


def _key_rules(loc: Location, key: Iterable[str], source: Source) -> Iterator[Fault]:
    """Check that a key names rows: every row has one, and equal ones are equal to the last digit."""
    for name in key:
        column = source.columns.get(name)
        if column and column.nullable:
            yield loc, f"must not be nullable, for rows without it would replace each other, but {name} is."
        if column and column.type not in KEY_TYPES:
            yield loc, f"must be of type {', '.join(sorted(KEY_TYPES))}, but {name} is {column.type}. Deliver it so."


def _timestamp(loc: Location, names: list[str], source: Source, of: str) -> Iterator[Fault]:
    yield from _unknown(loc, names, source.columns, of)
    for name in names:
        if name in source.columns and source.columns[name].type != "timestamp":
            yield loc, f"must name a timestamp, but {name} is {source.columns[name].type}."


def _reference_rules(problem: Problem, loc: Location, source: Source, of: str) -> Iterator[Fault]:
    for index, reference in enumerate(source.references):
        here = (*loc, "references", index)
        yield from _unknown(here, reference.columns, source.columns, of)
        yield from _unknown(here, [reference.source], problem.sources, "a source")
        target = problem.sources.get(reference.source)
        if target:
            yield from _unknown(here, reference.to, target.columns, f"a column of {reference.source}")
            yield from _pair_rules(here, reference, source, target)
        if len(reference.columns) != len(reference.to):
            yield here, f"must pair columns, but got {len(reference.columns)} columns to {len(reference.to)}."


def _pair_rules(loc: Location, reference: Reference, source: Source, target: Source) -> Iterator[Fault]:
    """Check that columns are compared with columns of their own type: to SQL, 1 equals '01'."""
    for name, to in zip(reference.columns, reference.to, strict=False):
        column, other = source.columns.get(name), target.columns.get(to)
        if column and other and column.type != other.type:
            yield loc, f"must pair columns of one type, but {name} is {column.type} and {to} is {other.type}."


def _example_rules(problem: Problem) -> Iterator[Fault]:
    """Check the examples and the target, which both name columns of one source."""
    examples = problem.examples
    yield from _unknown(("examples", "source"), [examples.source], problem.sources, "a source")
    source = problem.sources.get(examples.source)
    if source is None:
        return
    of = f"a column of {examples.source}"
    yield from _unknown(("examples", "key"), examples.key, source.columns, of)
    yield from _key_rules(("examples", "key"), examples.key, source)
    yield from _unknown(("examples", "request"), examples.request, source.columns, of)
    for field in ("predicted_at", "label_at"):
        yield from _timestamp(("examples", field), [getattr(examples, field)], source, of)
    yield from _sql_faults(("target", "expression"), problem.target.expression, source.columns, of)
    for name, sql in problem.target.outcomes.items():
        yield from _sql_faults(("target", "outcomes", name), sql, source.columns, of)


def _feature_rules(problem: Problem) -> Iterator[Fault]:
    request = problem.features.request
    for name, feature in request.items():
        loc: Location = ("features", "request", name)
        yield from _unknown(
            (*loc, "columns"), feature.columns, problem.examples.request, "a column of examples.request"
        )
        if feature.transform != "join" and len(feature.columns) != 1:
            yield loc, f"must have one column for {feature.transform}, but got {len(feature.columns)}."
    of = "a request feature"
    yield from _unknown(("baseline", "group_by"), problem.baseline.group_by, request, of)
    yield from _group_rules(problem)
    known = [*request, *problem.examples.request]
    for section in ("slices", "fairness"):
        for index, part in enumerate(getattr(problem, section)):
            yield from _unknown((section, index, "column"), [part.column], known, of)


def _group_rules(problem: Problem) -> Iterator[Fault]:
    """Check that the groups of the current solution are those that the contract names: a float has no groups."""
    source = problem.sources.get(problem.examples.source)
    columns = source.columns if source else {}
    for name in problem.baseline.group_by:
        feature = problem.features.request.get(name)
        if feature is None or feature.transform != "identity":
            continue
        column = columns.get(feature.columns[0])
        if column and column.type == "float":
            yield (
                ("baseline", "group_by"),
                f"must name features with groups, but {name} is a float, of which each value would be a group. Name "
                f"one of a text or an int: deliver or derive {feature.columns[0]} in steps, and send that in requests.",
            )


def _assumption_rules(problem: Problem) -> Iterator[Fault]:
    for index, assumption in enumerate(problem.assumptions):
        loc: Location = ("assumptions", index)
        yield from _ordered(loc, assumption.minimum, assumption.maximum, is_required=True)
        try:
            query = sqlglot.parse_one(assumption.sql, dialect="duckdb")
        except SqlglotError as error:
            yield (
                (*loc, "sql"),
                f"must be one DuckDB query, but got {assumption.sql!r}: {str(error).splitlines()[0]}",
            )
            continue
        named = {cte.alias_or_name for cte in query.find_all(exp.CTE)}
        tables = sorted({table.name for table in query.find_all(exp.Table)} - named)
        yield from _unknown((*loc, "sql"), tables, problem.sources, "a source")


def _limit_rules(problem: Problem) -> Iterator[Fault]:
    for name, source in problem.sources.items():
        if source.volume:
            loc: Location = ("sources", name, "volume")
            yield from _ordered(loc, source.volume.minimum_ratio, source.volume.maximum_ratio)
        if source.freshness:
            limits = source.freshness
            yield from _ordered(("sources", name, "freshness"), limits.warn_hours, limits.stop_hours)
    for index, guard in enumerate(problem.metrics.guards):
        yield from _ordered(("metrics", "guards", index), guard.minimum, guard.maximum, is_required=True)
    serving = problem.serving
    yield from _ordered(("serving",), serving.minimum_replicas, serving.maximum_replicas)
    plan = serving.canary_percent
    if plan != sorted(set(plan)) or plan[-1] != 100:
        yield ("serving", "canary_percent"), f"must rise to 100, but got {plan}."
    capacity, shifts = problem.business.capacity_per_day, problem.business.capacity_periods_per_day
    if capacity is not None and capacity < shifts:
        yield (
            ("business", "capacity_per_day"),
            f"must be at least capacity_periods_per_day ({shifts}), but got {capacity}.",
        )
    if 24 % shifts:
        yield ("business", "capacity_periods_per_day"), f"must divide the 24 hours of a day, but got {shifts}."


def _watch_rules(problem: Problem) -> Iterator[Fault]:
    monitoring, examples = problem.monitoring, problem.examples
    absent = [name for name in examples.key if name not in examples.request]
    if absent:
        yield ("examples", "request"), f"must hold the key, by which labels find predictions, but lacks {absent}."
    limit = monitoring.performance
    if (limit.minimum is None) == (limit.maximum is None):
        yield ("monitoring", "performance"), "must have either a minimum or a maximum."
    if monitoring.window_days * 24 <= monitoring.label_delay_hours:
        days = monitoring.window_days
        yield (
            ("monitoring", "window_days"),
            f"must be longer than label_delay_hours ({monitoring.label_delay_hours:g}), but got {days} days: "
            "no label would ever be due.",
        )
    read_days = monitoring.window_days + ceil(monitoring.label_delay_hours / 24)
    kept_days = problem.keep.prediction_days
    if kept_days is not None and kept_days < read_days:
        yield (
            ("keep", "prediction_days"),
            f"must be at least {read_days}, a window of monitoring and the delay of its labels, but got {kept_days}.",
        )
    for section in ("refresh", "monitoring", "retraining"):
        schedule = getattr(problem, section).schedule
        try:
            find_next(schedule, datetime.now(UTC))
        except ContractError:
            yield (section, "schedule"), f"must be five cron fields that come true, but got {schedule!r}."


def _ordered(loc: Location, low: float | None, high: float | None, *, is_required: bool = False) -> Iterator[Fault]:
    if is_required and low is None and high is None:
        yield loc, "must have a minimum or a maximum."
    if low is not None and high is not None and low > high:
        yield loc, f"must have its lower limit below the upper one, but got {low} > {high}."
