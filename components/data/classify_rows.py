"""Give every row of a source one fate: accepted, filtered on purpose, or quarantined with all its reasons.

In: the rows as delivered. Out: typed accepted rows as parquet, and three temporary tables of the engine:
`<source>_typed` (`_id` and the columns of the contract), `<source>_reasons` (`_id`, `place`, `check`, `column`,
`words`; one row per reason, `place` in the order of the checks) and `<source>_filtered` (`_id`, `name`). Called by
validation and by `requeue`. Rows in = accepted + filtered + quarantined, checked here for every source.

`_id` numbers rows in the order of landing, so that of two rows with one key the one with the larger `_id` is the
newer. Faulty rows are set aside before keys are compared: a broken delivery replaces nothing.
"""
# ruff: noqa: S608 - names and texts come from the checked contract and are quoted

from collections.abc import Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from components.base.adapters.duckdb import quote_name, quote_text
from components.base.contract.names import LINEAGE
from components.base.contract.problem import Problem, Reference, Source
from components.base.engine import Engine, order_of
from components.base.errors import ContractError, PermanentError
from components.data.row_checks import RowCheck, row_checks
from components.data.row_sql import delivered_columns, name_list, typed_sql

DUPLICATE, SUPERSEDED, OLDER = "duplicate_delivery", "superseded", "older_than_history"
_RULES = {
    DUPLICATE: "The same row was delivered again",
    SUPERSEDED: "A newer delivery holds the same key with other values",
}
_NEVER = RowCheck("", "", is_derived=False, fails="false", words="''")


@dataclass(frozen=True)
class FateCounts:
    """Rows of one source by fate."""

    rows_in: int
    accepted: int
    filtered: int
    quarantined: int


def filter_reasons(source: Source, older: str | None = None) -> dict[str, str]:
    """Return every filter of a source with its reason, in the order in which they are applied."""
    history = {OLDER: "Refresh and monitoring do not need it: it was known too long ago"} if older else {}
    return _RULES | history | {rule.name: rule.reason for rule in source.filters}


def reference_order(problem: Problem) -> list[str]:
    """Return the sources, each after those that it refers to.

    Raises:
        ContractError: sources refer to each other in a circle.
    """
    needs = {name: {reference.source for reference in source.references} for name, source in problem.sources.items()}
    try:
        return list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        circle = " > ".join(error.args[1])
        raise ContractError(f"sources: references must not form a circle, but got {circle}. Remove one.") from error


def classify_source(
    engine: Engine, name: str, source: Source, raw: str, accepted: Path, older: str | None = None
) -> FateCounts:
    """Classify every row, write the accepted ones and make them readable as a view named like the source.

    Args:
        engine: Holds a view for every source that this one refers to.
        name: Name of the source.
        source: Its contract.
        raw: A relation with `_id`, the lineage columns and the delivered columns as text.
        accepted: The parquet file to write.
        older: SQL condition of rows that are older than the history that is read; None: none is.
    """
    checks = row_checks(source)
    rows = typed_sql(source, raw, ("_id", *LINEAGE))
    _check_rows(engine, name, source, rows, checks)
    for number, reference in enumerate(source.references):
        if reference.orphans == "quarantine":
            _set_orphans_aside(engine, name, reference, len(checks) + number)
    _filter_duplicates(engine, name, source)
    # After keys were compared: a correction may be older, or newer, than the row that it replaces.
    history = {OLDER: older} if older else {}
    for rule, drop_when in (history | {rule.name: rule.drop_when for rule in source.filters}).items():
        engine.execute(
            f"INSERT INTO {name}_filtered SELECT _id, {quote_text(rule)} FROM {good_rows(name)} "
            f"WHERE coalesce({drop_when}, false)"
        )
    rows = f"SELECT {name_list(source.columns)} FROM {good_rows(name)}{order_of(engine, ['_id'])}"
    (written,) = engine.execute(
        f"COPY ({rows}) TO {quote_text(str(accepted))} (FORMAT parquet, COMPRESSION zstd)"
    ).fetchall()[0]
    engine.execute(
        f"CREATE OR REPLACE VIEW {quote_name(name)} AS SELECT * FROM read_parquet({quote_text(str(accepted))})"
    )
    return _count(engine, name, written)


def good_rows(name: str) -> str:
    """Return the relation of rows that are neither quarantined nor filtered, with `_id`."""
    return f"{name}_typed ANTI JOIN {name}_reasons USING (_id) ANTI JOIN {name}_filtered USING (_id)"


def orphans(name: str, reference: Reference) -> str:
    """Return the relation of typed rows whose reference leads nowhere; a reference with a NULL is none."""
    given = " AND ".join(f"{quote_name(column)} IS NOT NULL" for column in reference.columns)
    pairs = zip(reference.columns, reference.to, strict=True)
    same = " AND ".join(f"r.{quote_name(column)} = t.{quote_name(to)}" for column, to in pairs)
    return f"(SELECT * FROM {name}_typed WHERE {given}) AS r ANTI JOIN {quote_name(reference.source)} AS t ON {same}"


def _check_rows(engine: Engine, name: str, source: Source, rows: str, checks: Sequence[RowCheck]) -> None:
    """Write the typed rows, then every reason of the faulty ones; a line that was not read has no other."""
    faulty = " OR ".join(["_fault IS NOT NULL", *(f"({check.fails})" for check in checks)])
    engine.execute(
        f"CREATE OR REPLACE TEMP TABLE {name}_typed AS "
        f"SELECT _id, {name_list(source.columns)}, coalesce({faulty}, false) AS _faulty FROM ({rows})"
    )
    # A derived column is judged where every delivered one is right.
    delivered, derived = (
        _reason_list([(place, check) for place, check in enumerate(checks) if check.is_derived is is_derived])
        for is_derived in (False, True)
    )
    first = f"CASE WHEN array_length({delivered}) > 0 THEN {delivered} ELSE {derived} END"
    line = "[{'place': -1, 'check': 'line', 'column': '', 'words': _fault}]"
    engine.execute(f"""
        CREATE OR REPLACE TEMP TABLE {name}_reasons AS
        SELECT _id, reason.place AS place, reason."check" AS "check", reason."column" AS "column", reason.words AS words
        FROM (
            SELECT _id, unnest(CASE WHEN _fault IS NOT NULL THEN {line} ELSE {first} END) AS reason
            FROM ({rows}) WHERE _id IN (SELECT _id FROM {name}_typed WHERE _faulty)
        )
    """)


def _reason_list(checks: Sequence[tuple[int, RowCheck]]) -> str:
    """Return the SQL of a list with a reason for each check that a row fails; checks come with their place."""
    reasons = [
        f"CASE WHEN {check.fails} THEN {{'place': {place}, 'check': {quote_text(check.name)}, "
        f"'column': {quote_text(check.column)}, 'words': {check.words}}} END"
        # One that never fails gives the list its type where there is no other.
        for place, check in checks or [(0, _NEVER)]
    ]
    return f"list_filter([{', '.join(reasons)}], reason -> reason IS NOT NULL)"


def _set_orphans_aside(engine: Engine, name: str, reference: Reference, place: int) -> None:
    columns = ", ".join(reference.columns)
    words = f"{columns} must be in {reference.source} ({', '.join(reference.to)}), but got "
    got = " || ', ' || ".join(f"'''' || {quote_name(column)}::VARCHAR || ''''" for column in reference.columns)
    engine.execute(
        f"INSERT INTO {name}_reasons SELECT _id, {place}, {quote_text(f'{columns}.reference')}, {quote_text(columns)}, "
        f"{quote_text(words)} || {got} || {quote_text(f'. {reference.reason}')} FROM {orphans(name, reference)}"
    )


def _filter_duplicates(engine: Engine, name: str, source: Source) -> None:
    """Keep the newest row of each key; older ones are the same row again, or superseded."""
    columns = delivered_columns(source)
    same_key = " AND ".join(f"older.{quote_name(key)} IS NOT DISTINCT FROM k.{quote_name(key)}" for key in source.key)
    same_row = " AND ".join(
        f"older.{quote_name(column)} IS NOT DISTINCT FROM newest.{quote_name(column)}" for column in columns
    )
    engine.execute(f"""
        CREATE OR REPLACE TEMP TABLE {name}_filtered AS
        WITH good AS (SELECT * FROM {name}_typed ANTI JOIN {name}_reasons USING (_id)),
        keys AS (SELECT {name_list(source.key)}, max(_id) AS newest_id FROM good GROUP BY ALL HAVING count(*) > 1)
        SELECT older._id, CASE WHEN {same_row} THEN '{DUPLICATE}' ELSE '{SUPERSEDED}' END AS name
        FROM keys AS k
        JOIN good AS older ON {same_key} AND older._id <> k.newest_id
        JOIN good AS newest ON newest._id = k.newest_id
    """)


def _count(engine: Engine, name: str, accepted: int) -> FateCounts:
    (rows_in, filtered, quarantined) = engine.execute(
        f"SELECT (SELECT count(*) FROM {name}_typed), (SELECT count(*) FROM {name}_filtered), "
        f"(SELECT count(DISTINCT _id) FROM {name}_reasons)"
    ).fetchall()[0]
    counts = FateCounts(rows_in, accepted, filtered, quarantined)
    if rows_in != accepted + filtered + quarantined:
        raise PermanentError(
            f"validate {name}: rows in = accepted + filtered + quarantined must hold, but got {counts}. Report it."
        )
    return counts
