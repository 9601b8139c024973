"""Propose lines of the contract by which the next validation checks what the training rows show of a column.

In: `TrainingRows` and names of features or request columns. Out: `Proposal`s, none where the contract has a limit of
its own. Called by the findings. Only what is a column of the source of examples, unchanged, has a proposal: a feature
of a view is computed from other rows, whose limits do not follow from it.
"""

import math
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from components.base.adapters.duckdb import quote_name
from components.base.contract.problem import Assumption, Column
from components.base.contract.types import ColumnType
from components.base.text.wording import say_plainly, write_count, write_number, write_percent
from components.features.explore.documents import ContractField, Proposal
from components.features.explore.profile import CATEGORIES_KEPT
from components.features.explore.training_rows import TrainingRows

# Limits of fewer rows are those of chance.
_FEWEST_ROWS = 1000
# Of the range that was seen, to both sides: finds a wrong unit or a slip of typing, not the record of the next month.
_MARGIN_OF_RANGE = 0.5
_MARGIN_OF_MISSING = 2.0
# A lower limit stops a run for a few rows of a small delivery, a higher one checks nothing.
_LEAST_MISSING, _MOST_MISSING = 0.01, 0.5
_MARGIN_OF_VALUES = 1.5
# Where the value of more rows than this is a new one, the number of values has no limit.
_MOST_UNSEEN = 0.001
_LONGEST_NAME = 60


class _Known(NamedTuple):
    """A feature or request column that is a column of the source of examples."""

    name: str
    source: str
    column: str
    contract: Column


def propose_ranges(training: TrainingRows, names: Iterable[str]) -> tuple[Proposal, ...]:
    """Propose limits of each number: what the training rows hold and half of that range more, rounded outwards.

    A limit does not cross zero: what was never negative stays so.
    """
    proposals = []
    for known in _find_columns(training, names, {"int", "float"}):
        numbers = training.rows[known.name].dropna().to_numpy(dtype=np.float64)
        if not len(numbers) or numbers.min() == numbers.max() or _is_filtered(training, known):
            continue
        low, high = float(numbers.min()), float(numbers.max())
        minimum, maximum = _widen(low, high, is_whole=known.contract.type == "int")
        basis = (
            f"{write_count(len(numbers))} training rows hold {write_number(low)} to {write_number(high)}; half of that "
            "range is added, though not beyond zero. A row outside goes to quarantine."
        )
        if known.contract.minimum is None:
            proposals.append(_propose(known, "minimum", minimum, basis))
        if known.contract.maximum is None:
            proposals.append(_propose(known, "maximum", maximum, basis))
    return tuple(proposals)


def propose_missing(training: TrainingRows, names: Iterable[str]) -> tuple[Proposal, ...]:
    """Propose the largest share that a column may lack: twice that of the training rows, at least 1 %."""
    proposals = []
    for known in _find_columns(training, names):
        ratio = float(training.rows[known.name].isna().mean())
        limit = max(_LEAST_MISSING, math.ceil(ratio * _MARGIN_OF_MISSING * 100) / 100)
        if not known.contract.nullable or limit > _MOST_MISSING:
            continue
        statement = f"At most {write_percent(limit, 0)} of {training.problem.noun} lack {say_plainly(known.column)}"
        measure = f"avg(({quote_name(known.column)} IS NULL)::INT)"
        basis = (
            f"{write_percent(ratio)} of {write_count(len(training.rows))} training rows lack it; twice that is "
            f"allowed, at least {write_percent(_LEAST_MISSING, 0)}. More stops the run."
        )
        proposals.append(_assume(known, f"missing_{known.column}", statement, measure, limit, basis))
    return tuple(proposals)


def propose_values(training: TrainingRows, name: str) -> tuple[Proposal, ...]:
    """Propose the values of a text in the training rows as the only ones, or half as many again as the most.

    The share of later rows whose value is new is about that of the training rows whose value came once. Without such a
    row the values are taken for complete; with many of them nothing is proposed.

    Source: I. J. Good, The population frequencies of species and the estimation of population parameters, 1953.
    """
    proposals = []
    for known in _find_columns(training, [name], {"string"}):
        counts = training.rows[name].value_counts()
        once, rows = int((counts == 1).sum()), len(training.rows)
        if known.contract.allowed is not None or counts.empty or once > rows * _MOST_UNSEEN:
            continue
        seen = f"{write_count(len(counts))} values in {write_count(rows)} training rows"
        if once == 0 and len(counts) <= CATEGORIES_KEPT and not _is_filtered(training, known):
            basis = f"{seen}, none of which came once only. A row with another one goes to quarantine."
            proposals.append(_propose(known, "allowed", tuple(sorted(map(str, counts.index))), basis))
            continue
        most = math.ceil(len(counts) * _MARGIN_OF_VALUES)
        statement = f"There are at most {most} different values of {say_plainly(known.column)}"
        measure = f"count(DISTINCT {quote_name(known.column)})"
        basis = f"{seen}; half as many again are allowed. More stop the run."
        proposals.append(_assume(known, f"values_of_{known.column}", statement, measure, most, basis))
    return tuple(proposals)


def _find_columns(
    training: TrainingRows, names: Iterable[str], types: set[ColumnType] | None = None
) -> Iterator[_Known]:
    """Yield each column of the source of examples that has one of the names, or is a feature of that name, once."""
    seen: set[str] = set()
    problem, computed = training.problem, {one.name for one in training.features if one.origin != "request"}
    for name in names if len(training.rows) >= _FEWEST_ROWS else ():
        feature = problem.features.request.get(name)
        is_column = feature.transform == "identity" if feature else name in problem.examples.request
        if name in computed or not is_column:
            continue
        column = feature.columns[0] if feature else name
        contract = problem.sources[problem.examples.source].columns[column]
        if column not in seen and (types is None or contract.type in types):
            seen.add(column)
            yield _Known(name, problem.examples.source, column, contract)


def _is_filtered(training: TrainingRows, known: _Known) -> bool:
    """Whether a filter looks at the column: training has no rows that it drops, and a check of rows sees them."""
    filters = training.problem.sources[known.source].filters
    return any(re.search(rf"\b{known.column}\b", one.drop_when) for one in filters)


def _widen(low: float, high: float, *, is_whole: bool) -> tuple[float, float]:
    margin = (high - low) * _MARGIN_OF_RANGE
    step = 10.0 ** math.floor(math.log10(margin))
    step = max(step, 1.0) if is_whole else step
    lower, upper = math.floor((low - margin) / step) * step, math.ceil((high + margin) / step) * step
    lower = max(lower, 0.0) if low >= 0 else lower
    upper = min(upper, 0.0) if high <= 0 else upper
    # Twelve digits: 3 * 0.1 is 0.3.
    return float(f"{lower:.12g}"), float(f"{upper:.12g}")


def _propose(known: _Known, field: ContractField, value: float | tuple[str, ...] | Assumption, basis: str) -> Proposal:
    return Proposal(source=known.source, column=known.column, field=field, value=value, basis=basis)


def _assume(known: _Known, name: str, statement: str, measure: str, maximum: float, basis: str) -> Proposal:
    """Propose a limit of all rows together: an assumption, which validation checks on what it accepted."""
    sql = f"SELECT {measure} FROM {quote_name(known.source)}"  # noqa: S608 - names come from the checked contract
    return _propose(
        known,
        "assumptions",
        Assumption(name=name[:_LONGEST_NAME], statement=statement, sql=sql, maximum=maximum, on_violation="stop"),
        basis,
    )
