"""Take a fitted ColumnTransformer apart into functions over plain rows, without pandas.

In: the fitted transformer. Out: a function from a `Batch` of feature rows to the matrix that the transformer gives.
Called by the tasks' `compile`.

Notation
    n    rows of a batch
    X    (n, columns) float64, NaN where a number is missing

A block of text columns is a finite table: every known value, a missing one and an unknown one go through the fitted
transformer once, at load, and what came out is looked up ever after. So imputing, rare categories and unknown ones
follow the fitted transformer by construction, with any encoder that treats columns independently.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Value = float | str | None
Step = Callable[[Matrix], Matrix]
# No airport, carrier or manufacturer has this name, so the encoder treats it as it treats any unknown value.
_UNKNOWN = "\x00unknown"


class CannotCompileError(Exception):
    """The estimator holds a part that has no compiled form; the scikit-learn pipeline serves instead."""


class Batch:
    """Feature rows, with the columns that several encoders share extracted once."""

    def __init__(self, rows: Sequence[Mapping[str, Value]]) -> None:
        """Hold the rows: one mapping from feature name to value each, None or NaN where missing."""
        self.rows = rows
        self._numbers: dict[tuple[str, ...], Matrix] = {}

    def numbers(self, columns: tuple[str, ...]) -> Matrix:
        """Return X (n, len(columns)); callers must not write into it."""
        found = self._numbers.get(columns)
        if found is None:
            # itemgetter takes all values of a row in C; it gives a bare value for a single column.
            values = list(map(operator.itemgetter(*columns), self.rows))
            found = np.array(values, dtype=np.float64).reshape(len(values), len(columns))
            self._numbers[columns] = found
        return found

    def texts(self, column: str) -> list[Value]:
        """Return the values of a text column, None where missing."""
        return [value if isinstance(value := row[column], str) else None for row in self.rows]


Encoder = Callable[[Batch], Matrix]


def compile_columns(transformer: Any) -> Encoder:
    """Compile a fitted ColumnTransformer.

    Raises:
        CannotCompileError: when a part has no compiled form.
    """
    blocks = [
        _block(part, tuple(columns))
        for _, part, columns in transformer.transformers_
        if not (isinstance(part, str) and part == "drop") and len(columns)
    ]
    if len(blocks) == 1:
        return blocks[0]
    return lambda batch: np.hstack([block(batch) for block in blocks])


def compile_step(transformer: Any) -> Step:
    """Compile a fitted transformer of a numeric matrix.

    Raises:
        CannotCompileError: when its type has no compiled form.
    """
    if transformer == "passthrough":
        return lambda X: X
    build = _STEPS.get(type(transformer).__name__)
    if build is None:
        raise CannotCompileError(f"transformer {type(transformer).__name__} has no compiled form")
    return build(transformer)


def chain(steps: Sequence[Step]) -> Step:
    """Return the function that applies the steps in order."""
    if len(steps) == 1:
        return steps[0]

    def run(X: Matrix) -> Matrix:
        for step in steps:
            X = step(X)
        return X

    return run


def _block(part: Any, columns: tuple[str, ...]) -> Encoder:
    if not all(isinstance(column, str) for column in columns):
        raise CannotCompileError("columns must be chosen by name")
    encoder = part.steps[-1][1] if hasattr(part, "steps") else part
    if hasattr(encoder, "categories_"):
        return _text_block(part, encoder, columns)
    run = compile_step(part)
    return lambda batch: run(batch.numbers(columns))


def _text_block(part: Any, encoder: Any, columns: tuple[str, ...]) -> Encoder:
    """Compile text columns into one table a column: value -> the output columns that it decides."""
    if len(encoder.categories_) != len(columns):
        raise CannotCompileError("the encoder must see each text column once")
    known = [[value for value in values if isinstance(value, str)] for values in encoder.categories_]
    width = _dense(part.transform(_probe(columns, {}))).shape[1]
    tables = []
    for column, texts in zip(columns, known, strict=True):
        values: list[Value] = [*texts, None, _UNKNOWN]
        tables.append(_ColumnTable(column, values, _dense(part.transform(_probe(columns, {column: values})))))
    if sum(len(table.positions) for table in tables) > width:
        raise CannotCompileError("an output column of the encoder depends on two text columns")
    constant = _dense(part.transform(_probe(columns, {})))[0]

    def encode(batch: Batch) -> Matrix:
        X = np.empty((len(batch.rows), width))
        X[:] = constant
        for table in tables:
            X[:, table.positions] = table.look_up(batch.texts(table.column))
        return X

    return encode


class _ColumnTable:
    """What the encoder makes of each value of one text column."""

    def __init__(self, column: str, values: Sequence[Value], outputs: Matrix) -> None:
        differs = ~((outputs == outputs[0]) | (np.isnan(outputs) & np.isnan(outputs[0]))).all(axis=0)
        self.column = column
        self.positions = np.flatnonzero(differs)
        self._rows = {value: row for row, value in enumerate(values)}
        self._unknown = self._rows[_UNKNOWN]
        self._outputs = outputs[:, self.positions]

    def look_up(self, texts: list[Value]) -> Matrix:
        rows, unknown = self._rows, self._unknown
        found: Matrix = self._outputs[[rows.get(text, unknown) for text in texts]]
        return found


def _probe(columns: tuple[str, ...], given: Mapping[str, list[Value]]) -> pd.DataFrame:
    """Return a table in which the given columns vary and every other one is unknown."""
    rows = max((len(values) for values in given.values()), default=1)
    return pd.DataFrame({name: given.get(name, [_UNKNOWN] * rows) for name in columns}, dtype=object)


def _dense(transformed: Any) -> Matrix:
    dense = transformed.toarray() if hasattr(transformed, "toarray") else transformed
    return np.asarray(dense, dtype=np.float64)


def _imputer(transformer: Any) -> Step:
    statistics = np.asarray(transformer.statistics_, dtype=np.float64)
    # scikit-learn drops a column that held no value in training, unless configured to keep it.
    kept = np.flatnonzero(~np.isnan(statistics))
    drops = len(kept) < len(statistics)
    flagged = transformer.indicator_.features_ if transformer.add_indicator else None
    if not (isinstance(transformer.missing_values, float) and np.isnan(transformer.missing_values)):
        raise CannotCompileError("SimpleImputer must treat NaN as missing")

    def impute(X: Matrix) -> Matrix:
        missing = np.isnan(X)
        filled = np.where(missing, statistics, X)
        if drops:
            filled = filled[:, kept]
        return filled if flagged is None else np.hstack([filled, missing[:, flagged]])

    return impute


def _scaler(centre: Any, scale: Any) -> Step:
    def run(X: Matrix) -> Matrix:
        centred = X if centre is None else X - centre
        return centred if scale is None else centred / scale

    return run


def _function(transformer: Any) -> Step:
    function, arguments = transformer.func, dict(transformer.kw_args or {})
    if function is None:
        return lambda X: X
    return lambda X: np.asarray(function(X, **arguments), dtype=np.float64)


_STEPS: dict[str, Callable[[Any], Step]] = {
    "Pipeline": lambda fitted: chain([compile_step(step) for _, step in fitted.steps]),
    "SimpleImputer": _imputer,
    "StandardScaler": lambda fitted: _scaler(fitted.mean_ if fitted.with_mean else None, fitted.scale_),
    "RobustScaler": lambda fitted: _scaler(
        fitted.center_ if fitted.with_centering else None, fitted.scale_ if fitted.with_scaling else None
    ),
    "FunctionTransformer": _function,
}
