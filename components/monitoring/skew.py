"""Measure training/serving skew: served features against the point-in-time join for the same keys and times.

In: record batches of the prediction log, and the feature tables as they are now. Out: a sample of the log and a `Skew`.
Called by the monitor. The join is the one that makes training rows, at the time at which the served features were read.

A difference means that the model got a value that it would not have had in training: the online store was filled too
rarely, a value arrived late, or one of the two paths has a fault.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from components.base.contract.problem import Problem
from components.base.dataset import Feature
from components.base.tables import make_frame
from components.features.differences import compare_values
from components.features.prepare import add_features
from components.monitoring.results import FeatureSkew, Skew
from components.serving.prediction_log.schema import EVENT_TIME, REQUEST_ID, ROW, feature_column

# With this many rows the standard error of a share of 5 % is half a percent.
SAMPLE_ROWS = 2000
_HASH = "sample_hash"


def list_sampled_columns(problem: Problem, features: Sequence[Feature]) -> list[str]:
    """Return the columns of the prediction log that the comparison needs: read no others."""
    served = [feature_column(feature.name) for feature in features]
    return [REQUEST_ID, ROW, EVENT_TIME, *problem.examples.request, *served]


def sample_rows(batches: Iterable[pa.RecordBatch], rows: int = SAMPLE_ROWS) -> pa.Table | None:
    """Choose at most `rows` rows of the log by the hash of their request id and place; None without any.

    The choice depends neither on the order of the rows nor on the batches.
    """
    kept: pa.Table | None = None
    for batch in batches:
        identity = batch.select([REQUEST_ID, ROW]).to_pandas()
        hashes = pa.array(pd.util.hash_pandas_object(identity, index=False, categorize=False).to_numpy())
        hashed = pa.Table.from_batches([batch]).append_column(_HASH, hashes)
        table = hashed if kept is None else pa.concat_tables([kept, hashed])
        kept = table.take(np.argsort(table.column(_HASH).to_numpy(), kind="stable")[:rows])
    return None if kept is None or not len(kept) else kept.drop_columns([_HASH])


def measure_skew(problem: Problem, features: Sequence[Feature], features_uri: str, sample: pa.Table) -> Skew:
    """Compare the served features of the sampled rows with the join; values that are missing on both sides are equal.

    Args:
        problem: The contract.
        features: The model's inputs.
        features_uri: Folder or `s3://` prefix of the feature tables.
        sample: (n, columns): rows of the prediction log with the columns of `list_sampled_columns`.
    """
    served = make_frame(sample)
    requested = served[list(problem.examples.request)]
    joined = add_features(problem, requested.assign(predicted_at=served[EVENT_TIME]), features_uri)
    compared = []
    for feature in features:
        is_equal, difference = compare_values(feature, served[feature_column(feature.name)], joined[feature.name])
        ratio = float(1 - is_equal.mean()) if len(served) else 0.0
        compared.append(
            FeatureSkew(name=feature.name, rows=len(served), different_ratio=ratio, mean_absolute_difference=difference)
        )
    return Skew(
        rows=len(served),
        different_ratio=float(np.mean([found.different_ratio for found in compared])) if compared else 0.0,
        features=tuple(sorted(compared, key=lambda found: (-found.different_ratio, found.name))),
    )
