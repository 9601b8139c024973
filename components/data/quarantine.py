"""Keep quarantined rows whole: their text as delivered, where they came from, and every reason in words.

In: the tables that `classify_source` leaves in an engine. Out: `quarantine.parquet` with `source`, `drop`
(the key of the delivery), `row`, `reasons`, `checks` (lists of text) and `raw` (a JSON object of the delivered
columns), and the number of rows by check. Called by validation; `requeue` reads the file.
"""
# ruff: noqa: S608 - names and texts come from the checked contract and are quoted

from pathlib import Path

from components.base.adapters.duckdb import quote_name, quote_text
from components.base.contract.problem import Source
from components.base.engine import Engine
from components.data.quality import FailedCheck
from components.data.row_sql import delivered_columns


def create_quarantine(engine: Engine) -> None:
    """Make the empty table that takes the rows of all sources, with their place: number of the source, then `_id`."""
    kinds = {"number": "INTEGER", "_id": "BIGINT", "source": "VARCHAR", "drop": "VARCHAR", "row": "BIGINT"}
    kinds |= {"reasons": "VARCHAR[]", "checks": "VARCHAR[]", "raw": "VARCHAR"}
    columns = ", ".join(f"NULL::{kind} AS {quote_name(name)}" for name, kind in kinds.items())
    engine.execute(f"CREATE OR REPLACE TEMP TABLE _quarantine AS SELECT {columns} WHERE false")


def add_quarantined(engine: Engine, name: str, source: Source, raw: str) -> None:
    """Add the rows of one source that have a reason to be set aside."""
    number = "(SELECT coalesce(max(number), 0) + 1 FROM _quarantine)"
    fields = ", ".join(f"{quote_name(column)} := {quote_name(column)}" for column in delivered_columns(source))
    engine.execute(f"""
        INSERT INTO _quarantine
        SELECT {number}, _id, {quote_text(name)}, _drop, _row, reasons, checks,
            to_json(struct_pack({fields}, _fault := _fault))
        FROM {raw} JOIN (
            SELECT _id, list(words ORDER BY place) AS reasons, list("check" ORDER BY place) AS checks
            FROM {name}_reasons GROUP BY _id
        ) USING (_id)
    """)


def write_quarantine(engine: Engine, path: Path) -> None:
    """Write the rows of all sources, also when there are none."""
    rows = 'SELECT source, "drop", "row", reasons, checks, raw FROM _quarantine ORDER BY number, _id'
    engine.execute(f"COPY ({rows}) TO {quote_text(str(path))} (FORMAT parquet, COMPRESSION zstd)")


def quarantined_raw(path: Path, name: str, source: Source) -> str:
    """Return the relation of one source's quarantined rows as they were delivered, as `classify_source` takes it."""
    texts = [
        f"json_extract_string(raw, {quote_text(f'$.{quote_name(column)}')}) AS {quote_name(column)}"
        for column in [*delivered_columns(source), "_fault"]
    ]
    return (
        f'(SELECT row_number() OVER () AS _id, "drop" AS _drop, "row" AS _row, {", ".join(texts)} '
        f"FROM read_parquet({quote_text(str(path))}) WHERE source = {quote_text(name)})"
    )


def count_problems(engine: Engine, name: str, raw: str, rows_in: int) -> list[FailedCheck]:
    """Return the rows that failed each check, most first, each with the first row that did."""
    found = engine.execute(f"""
        SELECT "check", "column", rows, example, _drop, _row FROM (
            SELECT "check", "column", count(DISTINCT _id) AS rows, arg_min(words, _id) AS example, min(_id) AS _id
            FROM {name}_reasons GROUP BY ALL
        ) JOIN {raw} USING (_id) ORDER BY rows DESC, "check"
    """).fetchall()
    names = ("check", "column", "rows", "example", "delivery", "row")
    return [FailedCheck(**dict(zip(names, row, strict=True)), ratio=row[2] / rows_in) for row in found]
