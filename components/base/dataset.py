"""The prepared rows of one release: three roles, their features and the split ledger, in two folders.

`features/prepare.py` writes both. Explore, select, tune and ensemble are given the first alone: what they cannot read
they cannot choose by. `evaluate` and the steps after it, `refit` and `register`, are given the test rows too.

Layout of the folder
    train.parquet validation.parquet    key, request and feature columns, `predicted_at`, `label_at` and the target
                                        (0 or 1)
    ledger.parquet                      `row_hash` (uint64) and `role`, one row per example
    prepared.json                       features, time limits, rows by role

Layout of the folder of the test rows
    test.parquet                        the same columns
    newest.parquet                      the requests whose prediction was due last before `as_of`, without an outcome:
                                        request columns, and the features as of `as_of`, which is their `predicted_at`
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from components.base.errors import DataError
from components.base.tables import make_frame

Role = Literal["train", "validation", "test"]
ROLES: tuple[Role, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Feature:
    """One model input. Numeric columns are float64 with NaN, categorical ones object with str or None."""

    name: str
    kind: Literal["numeric", "categorical"]
    origin: str
    """`request`, or the name of the Feast feature view."""
    description: str
    unit: str | None = None


@dataclass(frozen=True)
class Prepared:
    """What `prepared.json` says, with the folders that hold the rows."""

    folder: Path
    target: str
    features: tuple[Feature, ...]
    limits: dict[str, str]
    """ISO times: `train_start`, `train_end`, `validation_start`, `validation_end`, `test_start`, `test_end`."""
    rows: dict[str, int]
    """Examples by role, and `gap` for those left out between roles."""
    fingerprint: str
    """SHA-256 over the rows of all roles, in order."""
    test_folder: Path | None = None
    """The folder of the test rows; None where they are not given."""

    @property
    def feature_names(self) -> list[str]:
        """Names of the model inputs, in the order of the model's columns."""
        return [feature.name for feature in self.features]

    def read(self, role: Role, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Read the rows of one role, in time order; all columns, or the named ones in that order.

        Raises:
            DataError: the role is test, and its folder is not given.
        """
        folder = self._find_test_folder() if role == "test" else self.folder
        table = pq.read_table(folder / f"{role}.parquet", columns=None if columns is None else list(columns))
        # Column by column, each given back once it is converted: a million rows are not in memory twice.
        rows = make_frame(table, split_blocks=True, self_destruct=True)
        del table
        pa.default_memory_pool().release_unused()
        return rows

    @property
    def newest_path(self) -> Path:
        """The newest requests.

        Raises:
            DataError: the folder of the test rows is not given.
        """
        return self._find_test_folder() / "newest.parquet"

    def read_ledger(self) -> pd.DataFrame:
        """Read the split ledger: columns `row_hash` and `role`."""
        return pd.read_parquet(self.folder / "ledger.parquet")

    def _find_test_folder(self) -> Path:
        if self.test_folder is None:
            raise DataError(
                f"prepared rows {self.folder}: test rows must be read by evaluate and the steps after it only, but "
                "their folder is not given here. Judge by train and validation rows."
            )
        return self.test_folder


def spread_rows(table: pd.DataFrame, count: int) -> pd.DataFrame:
    """Take at most `count` rows at even distances, the first and the last among them."""
    positions = np.linspace(0, len(table) - 1, min(count, len(table))).round().astype(int)
    return table.iloc[positions].reset_index(drop=True)


def write_prepared(prepared: Prepared) -> None:
    """Write `prepared.json` beside the parquet files, which the caller has written."""
    places = ("folder", "test_folder")
    described: dict[str, Any] = {key: value for key, value in asdict(prepared).items() if key not in places}
    (prepared.folder / "prepared.json").write_text(json.dumps(described, indent=1))


def read_prepared(folder: Path | str, test_folder: Path | str | None = None) -> Prepared:
    """Read `prepared.json` of `folder`; without `test_folder` no test row can be read."""
    described = json.loads((Path(folder) / "prepared.json").read_text())
    described["features"] = tuple(Feature(**feature) for feature in described["features"])
    return Prepared(folder=Path(folder), test_folder=None if test_folder is None else Path(test_folder), **described)
