"""Write ASOF joins, which only DuckDB has, as windows over the rows of both sides.

In: a query of `sqlglot`, whose other parts are in Spark's words already. Out: the same query without ASOF joins. Called
by `spark_sql.py`.

    FROM n ASOF LEFT JOIN h ON n.key = h.key AND n.time >= h.time

gives each row of n the row of h with the greatest time that is not later. Both sides are put under each other, sorted
by key and time, those of h first among equals, and the last row of h so far is carried along: one shuffle and one sort,
whatever the number of matches. A row becomes a struct named like its table: `n.flights` means the same outside.
"""

from dataclasses import dataclass
from typing import ClassVar

from sqlglot import exp, parse_one, transforms
from sqlglot.dialects import spark
from sqlglot.generators.spark import SparkGenerator

from components.base.errors import ContractError

_JOIN = """
(
    SELECT {names}, _matched AS {right} FROM (
        SELECT *, last_value(_right) IGNORE NULLS OVER (
            PARTITION BY {keys} ORDER BY _time, _side ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS _matched
        FROM (
            SELECT {rows}, {left_keys}, {left_time} AS _time, 1 AS _side, NULL AS _right FROM {left_source}
            UNION ALL
            SELECT {nulls}, {right_keys}, {right_time}, 0, struct({right}.*) FROM {right_source} WHERE {known}
        )
    ) WHERE {kept}
) AS _asof
"""


class Spark(spark.Spark):
    """Spark's dialect with QUALIFY, which it knows since 4.2; sqlglot writes it out and doubles the columns of `*`."""

    class Generator(SparkGenerator):
        """Writes the dialect."""

        TRANSFORMS: ClassVar = {
            **SparkGenerator.TRANSFORMS,
            exp.Select: transforms.preprocess([transforms.eliminate_distinct_on, transforms.any_to_exists]),
        }


@dataclass(frozen=True)
class _Condition:
    """What an ASOF join is joined on; the sides of each pair are expressions over the left and the right rows."""

    keys: list[tuple[exp.Expr, exp.Expr]]
    time: tuple[exp.Expr, exp.Expr]


def replace_asof_joins(select: exp.Select) -> None:
    """Put a window in the place of each ASOF join of a query, in order; other queries stay as they are.

    Raises:
        ContractError: a join has another form than `ON left.key = right.key AND left.time >= right.time`.
    """
    joins: list[exp.Join] = select.args.get("joins") or []
    if not any(join.method == "ASOF" for join in joins):
        return
    source = select.args["from_"].this
    rows = {source.alias_or_name: f"struct({source.alias_or_name}.*)"}
    before: list[exp.Join] = []
    for join in joins:
        if join.method != "ASOF":
            rows[join.alias_or_name] = f"struct({join.alias_or_name}.*)"
            before.append(join)
            continue
        left = " ".join(part.sql(dialect=Spark) for part in (source, *before))
        source = _join_window(join, rows, left)
        before = []
        rows = {name: name for name in (*rows, join.alias_or_name)}
    select.args["from_"].set("this", source)
    select.set("joins", before)


def _join_window(join: exp.Join, rows: dict[str, str], left: str) -> exp.Expr:
    right = join.alias_or_name
    condition = _read_condition(join, right)
    keys = [f"_key{place}" for place in range(len(condition.keys))] or ["_all"]
    left_keys = [key.sql(dialect=Spark) for key, _ in condition.keys] or ["0"]
    right_keys = [key.sql(dialect=Spark) for _, key in condition.keys] or ["0"]
    right_time = condition.time[1].sql(dialect=Spark)
    text = _JOIN.format(
        names=", ".join(rows),
        right=right,
        keys=", ".join(keys),
        rows=", ".join(f"{row} AS {name}" for name, row in rows.items()),
        nulls=", ".join("NULL" for _ in rows),
        left_keys=", ".join(f"{key} AS {name}" for key, name in zip(left_keys, keys, strict=True)),
        left_time=condition.time[0].sql(dialect=Spark),
        left_source=left,
        right_keys=", ".join(right_keys),
        right_time=right_time,
        right_source=join.this.sql(dialect=Spark),
        # NULL equals nothing.
        known=" AND ".join(f"{part} IS NOT NULL" for part in [*right_keys, right_time]),
        kept="_side = 1" if join.side == "LEFT" else "_side = 1 AND _matched IS NOT NULL",
    )
    query = f"SELECT * FROM {text}"  # noqa: S608 - parts of a parsed query
    return parse_one(query, read=Spark).args["from_"].this  # type: ignore[no-any-return]


def _read_condition(join: exp.Join, right: str) -> _Condition:
    on = join.args.get("on") or exp.true()
    parts = list(on.flatten()) if isinstance(on, exp.And) else [on]
    keys = [_sides(part, right) for part in parts if isinstance(part, exp.EQ)]
    times = [(part.this, part.expression) for part in parts if isinstance(part, exp.GTE)]
    is_qualified = all(column.table for column in on.find_all(exp.Column))
    if len(times) != 1 or len(keys) + 1 != len(parts) or not is_qualified:
        raise ContractError(
            f"ASOF join of {right}: its condition must be `ON left.key = {right}.key AND left.time >= {right}.time`, "
            f"with an alias before each column, but got {join.sql(dialect='duckdb')}. Write it so, or choose DuckDB."
        )
    return _Condition(keys, times[0])


def _sides(equality: exp.EQ, right: str) -> tuple[exp.Expr, exp.Expr]:
    is_right = {column.table for column in equality.expression.find_all(exp.Column)} == {right}
    return (equality.this, equality.expression) if is_right else (equality.expression, equality.this)
