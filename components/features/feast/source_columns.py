"""Check the columns of feature files before they are read: each is there under its own name, each key in its own type.

In: an engine, the place of parquet files, names as declared. Out: types, and the keys of the rows in the type of the
files. Called by the point-in-time join, and by the offline store before it reads for materialisation.

SQL knows no case and compares 1 with '01', '1.4' and true as if they were equal; here a name is what is written, and
values of two types never meet.
"""

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from components.base.adapters.duckdb import only_times, quote_name, quote_text
from components.base.engine import Engine
from components.base.errors import DataError, raise_faults, suggest_name
from components.base.values import LARGEST_EXACT_FLOAT

# The beginning of DuckDB's name of a type, and what values of it are.
_FAMILIES = {
    "VARCHAR": "text",
    "ENUM": "text",
    "TINYINT": "whole numbers",
    "SMALLINT": "whole numbers",
    "INTEGER": "whole numbers",
    "BIGINT": "whole numbers",
    "HUGEINT": "whole numbers",
    "UTINYINT": "whole numbers",
    "USMALLINT": "whole numbers",
    "UINTEGER": "whole numbers",
    "UBIGINT": "whole numbers",
    "UHUGEINT": "whole numbers",
    "BOOLEAN": "true or false",
    "TIMESTAMP": "times",
    "DATE": "dates",
    "DOUBLE": "numbers",
    "FLOAT": "numbers",
    "DECIMAL": "decimal numbers",
}


def describe_columns(engine: Engine, path: str, wanted: Sequence[str], times: Sequence[str]) -> dict[str, str]:
    """Return DuckDB's type of each column of parquet files.

    Args:
        engine: Reads the files.
        path: Of the files.
        wanted: Columns that are read beside `times`.
        times: Columns that are read as times.

    Raises:
        DataError: a column is not there as it is written, or texts for times are none; all are named.
    """
    rows = engine.execute(f"DESCRIBE FROM read_parquet({quote_text(path)})").fetchall()
    types = {str(row[0]): str(row[1]) for row in rows}
    missing = [name for name in dict.fromkeys([*wanted, *times]) if name not in types]
    faults = [f"column `{name}` must exist, but does not.{suggest_name(name, types)}" for name in missing]
    if any(name.lower() in map(str.lower, types) for name in missing):
        faults.append(
            f"Names are taken as they are written, and must differ by more than case; got {', '.join(types)}."
        )
    faults += [fault for name in times if types.get(name) == "VARCHAR" for fault in _time_faults(engine, path, name)]
    raise_faults(DataError, f"feature source {path}", faults)
    return types


def _time_faults(engine: Engine, path: str, name: str) -> Iterator[str]:
    column = quote_name(name)
    counted = f"count(*), min({column}) FROM read_parquet({quote_text(path)})"
    wrong = f"{column} IS NOT NULL AND {only_times(column)} IS NULL"
    rows, first = engine.execute(f"SELECT {counted} WHERE {wrong}").fetchall()[0]
    if rows:
        yield (
            f"column `{name}` must hold times of ISO 8601, their zone as an offset, but in {rows:,} rows it does not, "
            f"such as {first!r}. Write them so."
        )


def name_family(kind: str | pa.DataType) -> str:
    """Return what values of a type are, by DuckDB's or Arrow's name of it; two families never meet."""
    if not isinstance(kind, str):
        return next((family for check, family in _ARROW if check(kind)), str(kind))
    return _FAMILIES.get(kind.split("(")[0].split("_")[0].split(" ")[0], kind)


_ARROW = (
    (pa.types.is_string, "text"),
    (pa.types.is_large_string, "text"),
    (pa.types.is_integer, "whole numbers"),
    (pa.types.is_boolean, "true or false"),
    (pa.types.is_timestamp, "times"),
    (pa.types.is_date, "dates"),
    (pa.types.is_floating, "numbers"),
    (pa.types.is_decimal, "decimal numbers"),
)


def fit_keys(
    engine: Engine, rows: pa.Table, views: Sequence[tuple[str, Mapping[str, str], Mapping[str, str]]]
) -> dict[str, pa.ChunkedArray]:
    """Return the key columns of rows in the types that the views' files have.

    Pandas makes floats of whole numbers where one is missing: these become whole numbers again.

    Args:
        engine: Reads the files.
        rows: (n, columns); dictionaries become their values, and a column of nulls text.
        views: Of each the path, its keys (column of the rows to column of the files), and the types of its columns.

    Raises:
        DataError: values of a key are of another family than those of a view; all are named.
    """
    places: dict[str, list[tuple[str, str, str]]] = {}
    for path, keys, types in views:
        for key, column in keys.items():
            places.setdefault(key, []).append((path, column, types[column]))
    fitted = {key: _fit(rows[key], [kind for _, _, kind in of_key]) for key, of_key in places.items()}
    faults = [fault for key, of_key in places.items() for fault in _key_faults(engine, key, fitted[key], of_key)]
    raise_faults(DataError, "point-in-time join", faults)
    return fitted


def _fit(values: pa.ChunkedArray, kinds: Sequence[str]) -> pa.ChunkedArray:
    if pa.types.is_dictionary(values.type):
        return values.cast(values.type.value_type)
    # A column that holds only nulls has no type of its own.
    if pa.types.is_null(values.type):
        return values.cast(pa.string())
    is_for_whole = "whole numbers" in map(name_family, kinds) and name_family(values.type) == "numbers"
    return values.cast(pa.int64()) if is_for_whole and _is_whole(values) else values


def _key_faults(
    engine: Engine, key: str, values: pa.ChunkedArray, places: Sequence[tuple[str, str, str]]
) -> Iterator[str]:
    """Yield in words where values of a key are compared with another family; without a value they meet nothing."""
    own = name_family(values.type)
    for path, column, kind in places:
        if own == name_family(kind) or values.null_count == len(values):
            continue
        # An empty file has no types of its own either.
        counted = f"SELECT count({quote_name(column)}) FROM read_parquet({quote_text(path)})"  # noqa: S608
        if engine.execute(counted).fetchall()[0][0]:
            yield (
                f"key `{key}` must have the type of `{column}` in {path}, which holds {name_family(kind)} ({kind}), "
                f"but got {own} ({values.type}). Cast one of them."
            )


def _is_whole(values: pa.ChunkedArray) -> bool:
    is_exact = pc.less_equal(pc.abs(values), float(LARGEST_EXACT_FLOAT))
    return bool(pc.all(pc.and_(is_exact, pc.equal(pc.floor(values), values))).as_py() in (True, None))
