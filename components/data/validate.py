"""Validate: judge every row of a snapshot, describe what was accepted, and stop the run when a hard limit is broken.

In: the contract and a `Snapshot`. Out, in the folder `accepted`: one typed parquet per source, `quarantine.parquet`,
`quality.json` and `dictionary.json`. Called by the `validate` step. The files are written before the run is stopped,
so that whoever must mend the data can read what is wrong with them.

Why SQL generated from the contract and no validation library: here every row gets one fate with all its reasons in
words, the sums add up, and memory is bounded. pandera, which was measured, needs typed tables in memory (1.1 GB and 13
s for 12 columns of 1.7 million rows that were typed already), takes seconds to import, and reports
cells, not rows.
"""

import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

import duckdb

from components.base.adapters.duckdb import connect_duckdb, explain_duckdb_errors, quote_text
from components.base.contract.problem import Problem, Source
from components.base.errors import DataError, raise_faults
from components.data.assumptions import AssumptionResult, check_assumptions
from components.data.classify_rows import Counts, filter_reasons, judge_source, judging_order
from components.data.dictionary import describe_source
from components.data.quality import (
    count_outcomes,
    measure_freshness,
    measure_reference,
    measure_volume,
    source_faults,
    source_warnings,
)
from components.data.quarantine import add_quarantined, count_problems, create_quarantine, write_quarantine
from components.data.snapshot import Snapshot

log = logging.getLogger(__name__)

# Beyond it DuckDB spills to disk; the process stays below its 3 GB.
_MEMORY_LIMIT = "1500MB"


def validate_snapshot(problem: Problem, snapshot: Snapshot, folder: Path) -> dict[str, Any]:
    """Judge every row, write the accepted folder and return the quality report.

    Raises:
        DataError: with all faults, when a hard limit of the contract is broken; the folder is written all the same.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with connect_duckdb(memory_limit=_MEMORY_LIMIT) as connection, explain_duckdb_errors("validate"):
        create_quarantine(connection)
        reports = {name: _judge(connection, problem, snapshot, name, folder) for name in judging_order(problem)}
        write_quarantine(connection, folder / "quarantine.parquet")
        outcomes = count_outcomes(connection, problem)
        described = {name: describe_source(connection, name, source) for name, source in problem.sources.items()}
    for name, entry in described.items():
        entry["filters"] = reports[name]["filters"]
    quality = _report(problem, snapshot, reports, check_assumptions(problem, folder), outcomes)
    _write_json(folder / "quality.json", quality)
    _write_json(folder / "dictionary.json", {"problem": problem.name, "sources": described})
    rows = quality["rows"]
    log.info(
        "validate: %s rows accepted, %s filtered, %s quarantined, %d warnings",
        *(f"{rows[fate]:,}" for fate in ("accepted", "filtered", "quarantined")),
        len(quality["warnings"]),
    )
    raise_faults(DataError, f"validate {problem.name}", quality["faults"])
    return quality


def _judge(
    connection: duckdb.DuckDBPyConnection, problem: Problem, snapshot: Snapshot, name: str, folder: Path
) -> dict[str, Any]:
    source = problem.sources[name]
    place = quote_text(snapshot.table_uri(name))
    raw = f"(SELECT *, file_row_number AS _id FROM read_parquet({place}, file_row_number = true))"  # noqa: S608
    counts = judge_source(connection, name, source, raw, folder / f"{name}.parquet")
    add_quarantined(connection, name, source, raw)
    delivered = snapshot.sources[name]
    return {
        "description": source.description,
        "kind": source.kind,
        **asdict(counts),
        "not_yet_available": delivered.not_yet_available,
        "drops": [drop.model_dump() for drop in delivered.drops],
        "missing_months": list(delivered.missing_months),
        "unknown_columns": list(delivered.unknown_columns),
        "filters": _filters(connection, name, source),
        "problems": count_problems(connection, name, raw, counts.rows_in),
        "quarantine_ratio": _ratio(counts),
        "quarantine_limit": source.maximum_quarantine_ratio,
        "freshness": measure_freshness(connection, name, source, snapshot.as_of),
        "volume": measure_volume(connection, name, source, snapshot.as_of),
        "references": [measure_reference(connection, name, reference) for reference in source.references],
    }


def _filters(connection: duckdb.DuckDBPyConnection, name: str, source: Source) -> list[dict[str, Any]]:
    """Return every filter with its reason and its rows, also those that dropped none."""
    found = dict(connection.execute(f"SELECT name, count(*) FROM {name}_filtered GROUP BY 1").fetchall())  # noqa: S608
    reasons = filter_reasons(source)
    return [{"name": rule, "reason": reason, "rows": found.get(rule, 0)} for rule, reason in reasons.items()]


def _ratio(counts: Counts) -> float:
    return counts.quarantined / counts.rows_in if counts.rows_in else 0.0


def _report(
    problem: Problem,
    snapshot: Snapshot,
    reports: dict[str, dict[str, Any]],
    assumptions: list[AssumptionResult],
    outcomes: dict[str, Any],
) -> dict[str, Any]:
    sources = {name: reports[name] for name in problem.sources}
    broken: dict[str, list[str]] = {"warn": [], "stop": []}
    for result in assumptions:
        if not result.holds:
            broken[result.on_violation].append(f"assumption {result.name}: {result.statement}, but {result.words}.")
    faults = [fault for name in sources for fault in source_faults(name, problem.sources[name], sources[name])]
    warnings = [warning for name in sources for warning in source_warnings(name, sources[name])]
    faults, warnings = faults + broken["stop"], warnings + broken["warn"]
    fates = {"in": "rows_in", "accepted": "accepted", "filtered": "filtered", "quarantined": "quarantined"}
    return {
        "problem": problem.name,
        "as_of": snapshot.as_of.isoformat(),
        "snapshot": snapshot.prefix,
        "rows": {fate: sum(report[field] for report in sources.values()) for fate, field in fates.items()},
        "verdict": "stop" if faults else "warn" if warnings else "pass",
        "faults": faults,
        "warnings": warnings,
        "sources": sources,
        "assumptions": [asdict(result) for result in assumptions],
        "outcomes": outcomes,
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
