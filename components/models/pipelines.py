"""The Pipeline of every candidate: columns are imputed, limited, encoded and scaled inside it, then comes the model.

In: the features of the prepared rows, how they are encoded, and an unfitted model. Out: an unfitted Pipeline. What it
learns of columns it learns on training rows only, and it travels with the model. Called by the tasks' candidates. Only
stock transformers: skops and the predictor's row compiler must read them.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from components.base.dataset import Feature

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

Encoding = Literal["codes", "imputed_codes", "indicators"]
"""`codes`: categories as numbers, missing numbers as they are; `imputed_codes`: missing numbers imputed too;
`indicators`: one column a category, numbers imputed and scaled."""

# HistGradientBoosting takes 255 categories at most; rarer ones share a code.
_MOST_CODES = 200
# One-hot columns of one feature: 100 keep a hundred airports and bound the memory of a column of names.
_MOST_INDICATORS = 100
# Middle 90 percent scaled to one, then limited: an anemometer that shows 1,048 miles per hour counts as 3.
_SCALED_RANGE = (5.0, 95.0)
_LARGEST_SCALED = 3.0


def build_pipeline(
    features: Sequence[Feature], encoding: Encoding, build_model: Callable[[list[int]], Any]
) -> "Pipeline":
    """Build the unfitted Pipeline: `columns` (ColumnTransformer), then `model`.

    `build_model` gets the places of the categorical columns after encoding as codes.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

    numeric = [feature.name for feature in features if feature.kind == "numeric"]
    categorical = [feature.name for feature in features if feature.kind == "categorical"]
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    if encoding == "indicators":
        numbers: Any = _build_scaling(imputer)
        encoder = OneHotEncoder(
            handle_unknown="infrequent_if_exist", max_categories=_MOST_INDICATORS, sparse_output=False
        )
    else:
        numbers = "passthrough" if encoding == "codes" else imputer
        encoder = OrdinalEncoder(
            handle_unknown="use_encoded_value",
            unknown_value=-1,
            encoded_missing_value=-1,
            max_categories=_MOST_CODES,
        )
    transformers = [("numeric", numbers, numeric), ("categorical", encoder, categorical)]
    columns = ColumnTransformer([entry for entry in transformers if entry[2]])
    codes = list(range(len(numeric), len(numeric) + len(categorical)))
    return Pipeline([("columns", columns), ("model", build_model(codes))])


def fill_empty_numbers(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows to fit on with 0 in every number column that holds no value at all.

    A column that was not delivered yet tells nothing, which a constant says too; gradient boosting cannot be fitted on
    a column without any value. Rows to predict keep theirs: no split is made of a constant.
    """
    numbers = rows.select_dtypes("number")
    empty = [str(name) for name in numbers if numbers[name].isna().all()]
    return rows.assign(**dict.fromkeys(empty, 0.0)) if empty else rows


def _build_scaling(imputer: Any) -> Any:
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer, RobustScaler

    limits = {"a_min": -_LARGEST_SCALED, "a_max": _LARGEST_SCALED}
    return Pipeline(
        [
            ("impute", imputer),
            ("scale", RobustScaler(quantile_range=_SCALED_RANGE)),
            ("clip", FunctionTransformer(np.clip, kw_args=limits)),
        ]
    )
