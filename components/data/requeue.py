"""Classify quarantined rows again after the contract, or their text, was fixed.

In: the contract as it is now, a `quarantine.parquet`, and the folder with the accepted rows of the same run, which
references may lead to. Out, in a folder of its own: one parquet per source with the rows that are right now, and a
`quarantine.parquet` with those that still are not, with their new reasons. Called by `tidemill requeue`.
The next run of the pipeline classifies the whole snapshot and does not need this: it shows beforehand the effect of a
fix.
"""
# ruff: noqa: S608 - names and texts come from the checked contract and are quoted

from dataclasses import replace
from pathlib import Path

from components.base.adapters.duckdb import explain_duckdb_errors, quote_name, quote_text
from components.base.contract.problem import Problem
from components.base.engine import Engine, using_engine
from components.base.errors import DataError, suggest_name
from components.data.classify_rows import FateCounts, classify_source, reference_order
from components.data.quarantine import add_quarantined, create_quarantine, quarantined_raw, write_quarantine
from components.data.row_sql import name_list


def requeue_rows(problem: Problem, quarantine: Path, accepted: Path, folder: Path) -> dict[str, FateCounts]:
    """Classify the rows of a quarantine under the current contract and return their fates by source.

    A row whose key was accepted in the meantime is filtered: the accepted one is kept.

    Raises:
        DataError: the files cannot be read, or hold a source that the contract does not.
    """
    folder.mkdir(parents=True, exist_ok=True)
    counts: dict[str, FateCounts] = {}
    with using_engine("duckdb") as engine, explain_duckdb_errors(f"requeue {quarantine.name}"):
        found = engine.execute(f"SELECT DISTINCT source FROM read_parquet({quote_text(str(quarantine))})").fetchall()
        waiting = {name for (name,) in found}
        if unknown := sorted(waiting - set(problem.sources)):
            hints = "".join(suggest_name(name, problem.sources) for name in unknown)
            raise DataError(
                f"requeue {quarantine.name}: every source must be in the contract, "
                f"but {', '.join(unknown)} is not.{hints}"
            )
        create_quarantine(engine)
        for name in reference_order(problem):
            _view(engine, name, accepted / f"{name}.parquet")
            if name in waiting:
                counts[name] = _requeue_source(engine, problem, name, quarantine, (accepted, folder))
        write_quarantine(engine, folder / "quarantine.parquet")
    return counts


def _requeue_source(
    engine: Engine, problem: Problem, name: str, quarantine: Path, folders: tuple[Path, Path]
) -> FateCounts:
    """Classify the rows of one source; `folders` are those of the accepted and of the requeued rows."""
    source = problem.sources[name]
    before, after = (folder / f"{name}.parquet" for folder in folders)
    draft = after.with_suffix(".draft")
    raw = quarantined_raw(quarantine, name, source)
    counts = classify_source(engine, name, source, raw, draft)
    add_quarantined(engine, name, source, raw)
    (written,) = engine.execute(
        f"COPY (SELECT * FROM {quote_name(name)} ANTI JOIN read_parquet({quote_text(str(before))}) AS standing "
        f"USING ({name_list(source.key)})) TO {quote_text(str(after))} (FORMAT parquet, COMPRESSION zstd)"
    ).fetchall()[0]
    draft.unlink()
    _view(engine, name, before, after)
    return replace(counts, accepted=written, filtered=counts.filtered + counts.accepted - written)


def _view(engine: Engine, name: str, *paths: Path) -> None:
    places = ", ".join(quote_text(str(path)) for path in paths)
    engine.execute(f"CREATE OR REPLACE VIEW {quote_name(name)} AS SELECT * FROM read_parquet([{places}])")
