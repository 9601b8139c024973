"""The profile of rows: counts per bin and category, the reference that later rows are compared with.

In: a table of features. Out: a `Profile`, JSON of counts and sums only: no row can be read from it. Two profiles with
the same bins add up to the profile of both tables, so that a day's traffic is counted in pieces. Built by explore from
training rows; the monitor counts served rows in the same bins. Bins are in `base/statistics/counts.py`.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from pydantic import Field

from components.base.dataset import Feature
from components.base.errors import DataError
from components.base.statistics.counts import BinCounts, CategoryCounts, NumericCounts, choose_edges

# Twenty bins of equal mass in the reference, and one for each value of more rows than such a bin: with a day of 900
# rows a bin of equal mass still expects 45.
NUMERIC_BINS = 20
# More categories than this are rarer than one row in fifty: their sum drifts, one of them is noise.
CATEGORIES_KEPT = 50
# Names beyond the kept ones that are still known: a column with more of them is an identifier.
RARE_KEPT = 10_000
# Draws the rows that more names than are kept are chosen on: the same ones for the same number of rows.
_NAMING_SEED = 0


class Profile(BinCounts):
    """What rows look like, in counts."""

    version: Literal[2] = 2
    rows: int
    labelled: int
    """Rows whose outcome is known."""
    positives: int
    numeric: dict[str, NumericCounts]
    categorical: dict[str, CategoryCounts]
    scores: NumericCounts | None = None
    """Predicted probabilities, added by the step that has a model."""
    shifts: dict[str, float] = Field(default={})
    """PSI up to which each feature moved in windows of `shift_days` within the rows: no drift is seen below it."""
    score_shift: float = 0.0
    """The same of the scores."""
    shift_days: int | None = None
    """Days of these windows; 0 when none could be measured, None if an older platform compared thirds of the rows."""

    @property
    def columns(self) -> dict[str, NumericCounts | CategoryCounts]:
        """All features with their counts."""
        return {**self.numeric, **self.categorical}


def build_profile(rows: pd.DataFrame, features: Iterable[Feature], target: str) -> Profile:
    """Choose bins from the rows and count the rows in them. `target` holds 0, 1 or a missing value."""
    numeric, categorical = {}, {}
    for feature in features:
        if feature.kind == "numeric":
            numeric[feature.name] = profile_numbers(rows[feature.name])
        else:
            categorical[feature.name] = profile_names(rows[feature.name])
    return _count_target(
        Profile(rows=0, labelled=0, positives=0, numeric=numeric, categorical=categorical), rows, target
    )


def count_rows(reference: Profile, rows: pd.DataFrame, target: str) -> Profile:
    """Count other rows in the bins of the reference; a table without the target counts no outcomes."""
    counted = reference.model_copy(
        update={
            "numeric": {name: bins.count(rows[name]) for name, bins in reference.numeric.items()},
            "categorical": {name: bins.count(rows[name]) for name, bins in reference.categorical.items()},
            "scores": None,
        }
    )
    return _count_target(counted, rows, target)


def merge_profiles(first: Profile, second: Profile) -> Profile:
    """Add two profiles that were counted in the same bins.

    Raises:
        DataError: naming the features whose bins differ.
    """
    ours, theirs = first.columns, second.columns
    differing = [
        name for name in ours.keys() | theirs.keys() if name not in ours or not ours[name].has_bins_of(theirs.get(name))
    ]
    if first.scores and second.scores and not first.scores.has_bins_of(second.scores):
        differing.append("scores")
    if differing:
        raise DataError(
            f"profile: both profiles must have the same bins, but {', '.join(sorted(differing))} differ. "
            "Count both with `count_rows` of one reference."
        )
    return Profile(
        rows=first.rows + second.rows,
        labelled=first.labelled + second.labelled,
        positives=first.positives + second.positives,
        numeric={name: bins.add(second.numeric[name]) for name, bins in first.numeric.items()},
        categorical={name: bins.add(second.categorical[name]) for name, bins in first.categorical.items()},
        scores=first.scores.add(second.scores) if first.scores and second.scores else None,
    )


def add_scores(profile: Profile, probabilities: ArrayLike, edges: Sequence[float] | None = None) -> Profile:
    """Return the profile with counts of predicted probabilities, in the edges given or in quantiles of their own."""
    numbers = pd.Series(np.asarray(probabilities, dtype=np.float64))
    bins = profile_numbers(numbers)
    if edges is not None:
        bins = NumericCounts(edges=tuple(edges), counts=(), missing=0).count(numbers)
    return profile.model_copy(update={"scores": bins})


def profile_numbers(values: pd.Series, bins: int = NUMERIC_BINS) -> NumericCounts:
    """Count numbers in bins of equal mass of themselves; a frequent value is a bin of its own."""
    numbers = values.to_numpy(dtype=np.float64)
    return NumericCounts(edges=choose_edges(numbers, bins), counts=(), missing=0).count(numbers)


def profile_names(values: pd.Series) -> CategoryCounts:
    """Count rows by the most frequent names; of more names than are kept, fix these on one half, count the other half.

    Counted in the rows that they were chosen on, the most frequent names look more frequent than they are in later
    rows, and no name is ever unseen: rows of the same distribution would drift.
    """
    naming, counted = values, values
    if values.nunique() > CATEGORIES_KEPT:
        is_naming = np.random.default_rng(_NAMING_SEED).integers(2, size=len(values)) == 0
        naming, counted = values[is_naming], values[~is_naming]
    rows = naming.value_counts()
    ordered = [str(name) for name, _ in sorted(rows.items(), key=lambda item: (-item[1], str(item[0])))]
    kept, rare = ordered[:CATEGORIES_KEPT], ordered[CATEGORIES_KEPT : CATEGORIES_KEPT + RARE_KEPT]
    return CategoryCounts(counts=dict.fromkeys(kept, 0), other=0, missing=0, rare=tuple(rare)).count(counted)


def read_profile(path: Path | str) -> Profile:
    """Read a profile's JSON."""
    return Profile.model_validate_json(Path(path).read_text(encoding="utf-8"))


def write_profile(profile: Profile, path: Path | str) -> None:
    """Write a profile as JSON; the same profile gives the same bytes."""
    Path(path).write_text(profile.model_dump_json(), encoding="utf-8")


def _count_target(profile: Profile, rows: pd.DataFrame, target: str) -> Profile:
    outcomes = rows[target] if target in rows else pd.Series(dtype="float64")
    counted = {"rows": len(rows), "labelled": int(outcomes.notna().sum()), "positives": int(outcomes.sum())}
    return profile.model_copy(update=counted)
