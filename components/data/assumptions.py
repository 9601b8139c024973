"""Check the assumptions of the contract on the accepted rows: one number each, and the range that it must stay in.

In: the contract and the folder with one parquet per source. Out: one `AssumptionResult` per assumption, in contract
order; the caller decides what a violation stops. Called by validation.
"""

import math
from pathlib import Path

from components.base.adapters.duckdb import explain_duckdb_errors, quote_name, quote_text
from components.base.contract.problem import Assumption, Problem
from components.base.engine import Engine, using_engine
from components.base.errors import DataError
from components.data.quality import AssumptionResult


def check_assumptions(problem: Problem, accepted_folder: Path) -> list[AssumptionResult]:
    """Compute every assumption over the accepted sources.

    Raises:
        DataError: the SQL of an assumption fails, or returns several rows.
    """
    with using_engine(problem.data.engine) as engine:
        for name in problem.sources:
            place = quote_text(str(accepted_folder / f"{name}.parquet"))
            engine.execute(f"CREATE VIEW {quote_name(name)} AS SELECT * FROM read_parquet({place})")  # noqa: S608
        return [_check(engine, assumption) for assumption in problem.assumptions]


def _check(engine: Engine, assumption: Assumption) -> AssumptionResult:
    with explain_duckdb_errors(f"assumption {assumption.name}"):
        rows = engine.execute(assumption.sql).fetchall()
    if len(rows) > 1:
        raise DataError(
            f"assumption {assumption.name}: its SQL must return one number, but returned {len(rows):,} rows. "
            "Aggregate them, for example by max."
        )
    value = None if not rows or rows[0][0] is None or math.isnan(rows[0][0]) else float(rows[0][0])
    low, high = assumption.minimum, assumption.maximum
    if low is not None and high is not None:
        limits = f"within {low:g} to {high:g}"
    elif low is not None:
        limits = f"at least {low:g}"
    else:
        limits = "any number" if high is None else f"at most {high:g}"
    holds = value is not None and (low is None or value >= low) and (high is None or value <= high)
    return AssumptionResult(
        name=assumption.name,
        statement=assumption.statement,
        value=value,
        minimum=low,
        maximum=high,
        holds=holds,
        on_violation=assumption.on_violation,
        words=f"{'no number' if value is None else f'{value:.4g}'} must be {limits}",
    )
