"""Translate SQL from DuckDB's dialect into Spark's, so that every statement is written once.

In: a query as `sqlglot` parses it. Out: the text for Spark, and the `WorkerFunction`s that it calls. Called by the
adapter of Spark alone; nothing is executed here.

sqlglot translates the grammar. Here is what it does not know, each in one place:
    * ASOF joins, which Spark lacks (`asof_join.py`);
    * division and casts to whole numbers, which follow DuckDB: x / 0 is infinite, 2.5 becomes 2, 3.5 becomes 4;
    * what no two engines do alike (reading and writing numbers and times as text, regular expressions, the last digit
      of a sine): DuckDB itself computes it in Spark's workers, batch by batch.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from sqlglot import exp, parse_one

from components.base.adapters.asof_join import Spark, replace_asof_joins

# Types of DuckDB that a value may have when it leaves a worker, and Spark's names of them.
SPARK_TYPES = {
    "VARCHAR": "STRING",
    "DOUBLE": "DOUBLE",
    "BIGINT": "BIGINT",
    "INTEGER": "INT",
    "BOOLEAN": "BOOLEAN",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
}
_TYPE_NAMES = {"TEXT": "VARCHAR", "INT": "INTEGER", "TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE"}
# What DuckDB computes in the workers, by type. Java's library and C's differ in the last digit of a sine; Spark rounds
# decimal digits where DuckDB rounds a multiple, and knows no negative zero.
_TRIGONOMETRY = (exp.Sin, exp.Cos, exp.Tan, exp.Asin, exp.Acos, exp.Atan, exp.Atan2)
_BY_WORKERS: dict[str, tuple[type[exp.Expr], ...]] = {
    "DOUBLE": (*_TRIGONOMETRY, exp.Exp, exp.Ln, exp.Log, exp.Pow, exp.Round),
    "BOOLEAN": (exp.RegexpLike,),
}
# The sign of a zero counts: the angle of (zero, -1) has it.
_DIVISION = (
    "CASE WHEN CAST(:right AS DOUBLE) = 0 "
    "THEN CAST(:left AS DOUBLE) * CAST('Infinity' AS DOUBLE) * signum(atan2(CAST(:right AS DOUBLE), -1D)) "
    "ELSE CAST(:left AS DOUBLE) / CAST(:right AS DOUBLE) END"
)
# `typeof` is known when Spark plans: one branch is left then.
_WHOLE_NUMBER = (
    "CASE WHEN typeof(:value) IN ('double', 'float') THEN CAST(rint(CAST(:value AS DOUBLE)) AS {kind}) "
    "WHEN typeof(:value) LIKE 'decimal%' THEN CAST(round(CAST(:value AS DECIMAL(38, 10))) AS {kind}) "
    "ELSE CAST(:value AS {kind}) END"
)
_TEXT = "CASE WHEN typeof(:value) = 'string' THEN CAST(:value AS STRING) ELSE :written END"
# By DuckDB's name: what Spark writes for a call with the arguments `:a` and `:b`.
_CALLS = {
    "EPOCH_US": "unix_micros(:a)",
    "MAKE_TIMESTAMPTZ": "timestamp_micros(:a)",
    # Times that never come are the greatest and the least of 64 bits.
    "ISFINITE": (
        "CASE WHEN typeof(:a) = 'timestamp' THEN abs(CAST(:a AS DOUBLE)) < 9.2E12D "
        "ELSE CAST(:a AS DOUBLE) BETWEEN -1.7976931348623157E308D AND 1.7976931348623157E308D END"
    ),
    "TO_SECONDS": "make_dt_interval(0, 0, 0, CAST(:a AS DECIMAL(18, 6)))",
    "TO_MINUTES": "make_dt_interval(0, 0, 0, CAST(:a * 60 AS DECIMAL(18, 6)))",
    "TO_HOURS": "make_dt_interval(0, 0, 0, CAST(:a * 3600 AS DECIMAL(18, 6)))",
    "TIMEZONE": "CAST(from_utc_timestamp(:b, :a) AS TIMESTAMP_NTZ)",
    "ROW": "struct(:a, :b)",
}


@dataclass(frozen=True)
class WorkerFunction:
    """A scalar expression that DuckDB computes inside a Spark worker."""

    name: str
    """Under which Spark calls it."""
    sql: str
    """In DuckDB's dialect, over columns `a0`, `a1`, …"""
    kind: str
    """Type of its value, in DuckDB's words."""


def translate(query: exp.Expr) -> tuple[str, list[WorkerFunction]]:
    """Return a query as Spark's SQL, with the functions that must be registered before it runs.

    Raises:
        ContractError: an ASOF join has a form that is not translated; the words say which form is.
    """
    functions: dict[str, WorkerFunction] = {}
    tree = _rewrite(query.copy(), functions)
    # Inner queries first: an outer one takes them over as text.
    for select in reversed(list(tree.find_all(exp.Select))):
        replace_asof_joins(select)
    return tree.sql(dialect=Spark, comments=False), list(functions.values())


def _rewrite(node: exp.Expr, functions: dict[str, WorkerFunction]) -> exp.Expr:
    """Return an expression in Spark's words: what a worker computes is taken whole, the rest from the inside out."""
    kind = _worker_type(node)
    function = None if kind is None else _worker_function(node, kind)
    if function is None:
        _rewrite_children(node, functions)
        return _rewrite_native(node)
    functions[function[0].name] = function[0]
    call = exp.Anonymous(this=function[0].name, expressions=function[1])
    _rewrite_children(call, functions)
    is_cast = isinstance(node, exp.Cast) and isinstance(node.this, exp.Column)
    return _fill(_TEXT, value=call.expressions[0], written=call) if is_cast and kind == "VARCHAR" else call


def _rewrite_children(node: exp.Expr, functions: dict[str, WorkerFunction]) -> None:
    for child in list(node.iter_expressions()):
        rewritten = _rewrite(child, functions)
        if rewritten is not child:
            child.replace(rewritten)


def _worker_type(node: exp.Expr) -> str | None:
    """Return the type of what DuckDB must compute itself; None for what Spark can compute."""
    if isinstance(node, exp.TryCast):
        return _type_name(node.to)
    if isinstance(node, exp.Try) and isinstance(node.this, exp.Cast):
        return _type_name(node.this.to)
    is_text = isinstance(node, exp.Cast) and node.to.this in (exp.DType.VARCHAR, exp.DType.TEXT)
    if is_text or (isinstance(node, exp.Anonymous) and node.name.upper() == "TO_JSON"):
        return "VARCHAR"
    return next((kind for kind, classes in _BY_WORKERS.items() if isinstance(node, classes)), None)


def _type_name(kind: exp.DataType) -> str:
    name = str(kind.this.value)
    return _TYPE_NAMES.get(name, name)


def _worker_function(node: exp.Expr, kind: str) -> tuple[WorkerFunction, list[exp.Expr]] | None:
    """Return the function of an expression and its arguments; None for a constant, which needs no worker."""
    arguments: dict[str, exp.Expr] = {}
    body = node.copy()
    for leaf in list(_find_leaves(body)):
        text = leaf.sql(dialect="duckdb")
        arguments.setdefault(text, leaf.copy())
        leaf.replace(exp.column(f"a{list(arguments).index(text)}"))
    if not arguments:
        return None
    sql = body.sql(dialect="duckdb")
    name = f"duckdb_{hashlib.sha256(f'{sql} {kind}'.encode()).hexdigest()[:16]}"
    return WorkerFunction(name, sql, kind), list(arguments.values())


def _find_leaves(node: exp.Expr) -> Iterator[exp.Expr]:
    """Yield what Spark must compute first: columns, aggregates, windows and queries."""
    for child in node.iter_expressions():
        if isinstance(child, exp.Column | exp.AggFunc | exp.Filter | exp.Window | exp.Query):
            yield child
        else:
            yield from _find_leaves(child)


def _rewrite_native(node: exp.Expr) -> exp.Expr:
    """Rewrite one expression that Spark computes otherwise than DuckDB, or under another name; all others stay."""
    if isinstance(node, exp.Div):
        return _fill(_DIVISION, left=node.this, right=node.expression)
    if isinstance(node, exp.Cast) and node.to.this in (exp.DType.INT, exp.DType.BIGINT):
        return _fill(_WHOLE_NUMBER.format(kind=node.to.sql(dialect=Spark)), value=node.this)
    if isinstance(node, exp.ArrayAgg) and isinstance(node.this, exp.Order):
        order = [item.this for item in node.this.expressions]
        pairs = exp.Anonymous(this="struct", expressions=[*order, exp.alias_(node.this.this, "listed")])
        return _fill("transform(array_sort(collect_list(:pairs)), pair -> pair.listed)", pairs=pairs)
    if isinstance(node, exp.Anonymous) and node.name.upper() in _CALLS:
        return _fill(_CALLS[node.name.upper()], **dict(zip("ab", node.expressions, strict=False)))
    return node


def _fill(template: str, **parts: exp.Expr) -> exp.Expr:
    """Parse Spark's SQL and put expressions in the places of `:name`."""
    tree = parse_one(template, read=Spark)
    for hole in list(tree.find_all(exp.Placeholder)):
        hole.replace(exp.paren(parts[hole.name].copy(), copy=False))
    return exp.paren(tree, copy=False)
