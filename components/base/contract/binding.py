"""Bind every SQL text of a contract against empty tables: what DuckDB would refuse in the middle of a run.

In: a `Problem` whose rules hold. Out: faults as (field, words). Called by `base/contract/load.py`. No row is read, and
nothing is executed but patterns, which RE2 compiles.
"""
# ruff: noqa: S608 - names come from the checked contract and are quoted

import re
from collections.abc import Callable, Iterator
from contextlib import closing

import duckdb
import sqlglot
from sqlglot import exp

from components.base.adapters.duckdb import SQL_TYPES, connect_empty, quote_name
from components.base.contract.problem import Problem, Source
from components.base.contract.upgrade import Location

Fault = tuple[Location, str]
_NUMBERS = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL.*|BOOLEAN")
_AFTERWARDS = "Compute it in the SQL of a feature view, which sees all rows."


def find_binding_faults(problem: Problem) -> list[Fault]:
    """Return every expression, query and pattern that DuckDB does not take."""
    with closing(connect_empty()) as connection:
        for name, source in problem.sources.items():
            create_empty(connection.execute, name, source)
        faults = [fault for name in problem.sources for fault in _source_faults(connection, problem, name)]
        return [*faults, *_target_faults(connection, problem), *_assumption_faults(connection, problem)]


def create_empty(execute: Callable[[str], object], name: str, source: Source) -> None:
    """Make the empty table of a source with the columns of the contract."""
    columns = [f"{quote_name(column)} {SQL_TYPES[source.columns[column].type]}" for column in source.columns]
    execute(f"CREATE TABLE {quote_name(name)} ({', '.join(columns)})")


def _source_faults(connection: duckdb.DuckDBPyConnection, problem: Problem, name: str) -> Iterator[Fault]:
    source, table = problem.sources[name], quote_name(name)
    for column_name, column in source.columns.items():
        here: Location = ("sources", name, "columns", column_name)
        if column.pattern is not None:
            yield from _try((*here, "pattern"), connection, "SELECT regexp_matches('', ?)", column.pattern)
        if column.expression is None:
            continue
        found = sqlglot.parse_one(column.expression, dialect="duckdb").find(exp.Window, exp.AggFunc, exp.Subquery)
        if found:
            words = f"must be computed of its own row, but has {found.sql(dialect='duckdb')!r}. {_AFTERWARDS}"
            yield (*here, "expression"), words
            continue
        typed = f"TRY(CAST({column.expression} AS {SQL_TYPES[column.type]}))"
        yield from _try((*here, "expression"), connection, f"EXPLAIN SELECT {typed} FROM {table}")
    for index, rule in enumerate(source.filters):
        query = f"EXPLAIN SELECT 1 FROM {table} WHERE coalesce({rule.drop_when}, false)"
        yield from _try(("sources", name, "filters", index, "drop_when"), connection, query)


def _target_faults(connection: duckdb.DuckDBPyConnection, problem: Problem) -> Iterator[Fault]:
    table, target = quote_name(problem.examples.source), problem.target
    outcome = f"EXPLAIN SELECT CAST({target.expression} AS DOUBLE) FROM {table}"
    yield from _try(("target", "expression"), connection, outcome)
    for name, sql in target.outcomes.items():
        query = f"EXPLAIN SELECT count(*) FILTER (WHERE {sql}) FROM {table}"
        yield from _try(("target", "outcomes", name), connection, query)


def _assumption_faults(connection: duckdb.DuckDBPyConnection, problem: Problem) -> Iterator[Fault]:
    for index, assumption in enumerate(problem.assumptions):
        loc: Location = ("assumptions", index, "sql")
        faults = list(_try(loc, connection, f"DESCRIBE {assumption.sql}"))
        if faults:
            yield from faults
            continue
        kinds = [str(row[1]) for row in connection.fetchall()]
        if len(kinds) != 1 or not _NUMBERS.fullmatch(kinds[0]):
            yield loc, f"must return one number, but returns {', '.join(kinds)}. Select one aggregate."


def _try(loc: Location, connection: duckdb.DuckDBPyConnection, query: str, *values: str) -> Iterator[Fault]:
    try:
        connection.execute(query, values or None)
    except duckdb.Error as error:
        yield loc, f"must be taken by DuckDB, but it says: {str(error).splitlines()[0]}"
