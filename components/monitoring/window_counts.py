"""Count the served rows of a window in the bins of the reference, batch by batch.

In: record batches of the prediction log, all of one model version, without repeated requests. Out: `WindowCounts`,
which add up: the memory does not depend on the window, and days can be counted apart. Called by the monitor; drift and
quality are computed from the counts alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from components.base.errors import DataError
from components.base.statistics.counts import CategoryCounts, NumericCounts
from components.features.explore.profile import Profile, merge_profiles
from components.monitoring.reference import TrainingReference
from components.monitoring.served_quality import (
    AgeCounts,
    Array,
    count_ages,
    count_names_outside,
    count_numbers_outside,
)
from components.serving.prediction_log.schema import age_column, feature_column

# A batch costs some microseconds a column however few rows it holds; segments of the log may hold a handful.
_GROUP_ROWS = 65_536


@dataclass(frozen=True)
class WindowCounts:
    """Served rows in the bins of the reference."""

    profile: Profile
    outside: dict[str, int]
    """Rows outside the contract's range, by feature."""
    ages: dict[str, AgeCounts]
    """By view."""

    @property
    def rows(self) -> int:
        """Rows that were counted."""
        return self.profile.rows

    def add(self, other: Self) -> Self:
        """Return the counts of both windows.

        Raises:
            DataError: they were counted in different bins.
        """
        return type(self)(
            profile=merge_profiles(self.profile, other.profile),
            outside={name: rows + other.outside[name] for name, rows in self.outside.items()},
            ages={view: ages.add(other.ages[view]) for view, ages in self.ages.items()},
        )


def list_counted_columns(reference: TrainingReference) -> list[str]:
    """Return the columns of the prediction log that counting needs: read no others."""
    return list(_counted_schema(reference).names)


def count_window(reference: TrainingReference, batches: Iterable[pa.RecordBatch]) -> WindowCounts:
    """Count the rows of a window; without batches all counts are 0.

    Raises:
        DataError: a batch lacks columns; all are named.
    """
    schema = _counted_schema(reference)
    counted = _count_table(reference, schema.empty_table())
    held: list[pa.Table] = []
    for batch in batches:
        missing = sorted(set(schema.names) - set(batch.schema.names))
        if missing:
            raise DataError(
                f"prediction log: every batch must have the columns that the champion serves, but "
                f"{', '.join(missing)} are missing. Count the rows of one model version at a time."
            )
        held.append(pa.Table.from_batches([batch.select(schema.names)]).cast(schema))
        if sum(map(len, held)) >= _GROUP_ROWS:
            counted = counted.add(_count_table(reference, pa.concat_tables(held)))
            held = []
    return counted.add(_count_table(reference, pa.concat_tables(held))) if held else counted


def _counted_schema(reference: TrainingReference) -> pa.Schema:
    kinds = {"numeric": pa.float64(), "categorical": pa.string()}
    features = [(feature_column(feature.name), kinds[feature.kind]) for feature in reference.features]
    ages = [(age_column(view.name), pa.float64()) for view in reference.views]
    return pa.schema([*features, *ages, (reference.output_column, pa.float64())])


def _count_table(reference: TrainingReference, table: pa.Table) -> WindowCounts:
    numeric: dict[str, NumericCounts] = {}
    categorical: dict[str, CategoryCounts] = {}
    outside = dict.fromkeys((feature.name for feature in reference.features), 0)
    for feature in reference.features:
        name, column = feature.name, reference.ranges.get(feature.name)
        served = table.column(feature_column(name))
        if feature.kind == "numeric":
            numbers = _read_numbers(served)
            numeric[name] = reference.profile.numeric[name].count(numbers)
            outside[name] = count_numbers_outside(numbers, column) if column else 0
        else:
            texts = pc.value_counts(served).to_pylist()
            rows = {one["values"]: one["counts"] for one in texts if one["values"] is not None}
            categorical[name] = reference.profile.categorical[name].count_names(rows, served.null_count)
            outside[name] = count_names_outside(rows, column) if column else 0
    scores = reference.profile.scores
    profile = Profile(
        rows=table.num_rows,
        labelled=0,
        positives=0,
        numeric=numeric,
        categorical=categorical,
        scores=scores.count(_read_numbers(table.column(reference.output_column))) if scores else None,
    )
    ages = {
        view.name: count_ages(_read_numbers(table.column(age_column(view.name))), view.ttl_seconds)
        for view in reference.views
    }
    return WindowCounts(profile, outside, ages)


def _read_numbers(column: pa.ChunkedArray) -> Array:
    """Return the numbers of a column, NaN where it is null."""
    numbers: Array = column.to_numpy()
    return numbers
