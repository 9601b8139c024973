"""Read the prediction log back from the object store, as any reader would."""

import io

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from components.base.adapters.s3 import ObjectStore
from components.serving.prediction_log.schema import predictions_prefix


def read_log(store: ObjectStore, problem: str = "flight-delays") -> pd.DataFrame:
    """Return all rows, also those of replays, in the order in which they were logged."""
    keys = [found.key for found in store.list_objects(predictions_prefix(problem))]
    if not keys:
        return pd.DataFrame({"request_id": [], "row": [], "logged_at": []})
    table = pa.concat_tables([pq.read_table(io.BytesIO(store.get_bytes(key))) for key in keys])
    return table.to_pandas().sort_values("logged_at", kind="stable", ignore_index=True)


def drop_replays(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep the first logged of equal (request_id, row)."""
    return rows.drop_duplicates(["request_id", "row"], ignore_index=True)
