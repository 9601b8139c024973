"""Serve Feast's offline reads with DuckDB: point-in-time joins, and the values to materialise.

In: Feast's own arguments (views, feature references, entity frame) and parquet files, local or on S3. Out: a
`RetrievalJob` that runs when a table or a stream is requested. Called by Feast, which finds it by the
`offline_store.type` of feature_store.yaml. It writes no feature data: `build` does.

Meaning, as in Feast's DuckDB store, which serves as the specification:
    * a value counts from its event time on, up to `ttl` later, both inclusive; without a ttl, or with 0, for ever;
    * the newest event time wins, among equal ones the newest `created_timestamp_column`, null being oldest
      (which of two rows that are equal in both wins is not defined);
    * every row of the entity frame comes back once, in order, with its own columns unchanged.

Where Feast's store fails, this one works: entity frames with null keys, views without entities,
`with_join_key_map` for some of several keys, and S3.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import duckdb
import pandas as pd
import pyarrow as pa
from feast import FeatureView, RepoConfig
from feast.data_source import DataSource
from feast.feature_view import DUMMY_ENTITY_ID, DUMMY_ENTITY_VAL
from feast.infra.offline_stores.file_source import FileSource
from feast.infra.offline_stores.offline_store import OfflineStore, RetrievalJob, RetrievalMetadata
from feast.infra.offline_stores.offline_utils import infer_event_timestamp_from_entity_df
from feast.infra.registry.base_registry import BaseRegistry
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.repo_config import FeastConfigBaseModel

from components.base.adapters.duckdb import connect_duckdb, explain_duckdb_errors, quote_text
from components.base.engine import EngineName, open_engine, using_engine
from components.base.errors import DataError, TidemillError, raise_faults
from components.features.feast.asof import BATCH_ROWS, AsOfView, join_features
from components.features.feast.source_columns import describe_columns
from components.features.feast.source_query import SourceRows, list_times, query_all_rows, query_latest_rows

_logger = logging.getLogger(__name__)
# What Feast looks for in the rows of a view without entity.
_ENTITYLESS_KEY = (DUMMY_ENTITY_ID, DUMMY_ENTITY_VAL)


class AsOfOfflineStoreConfig(FeastConfigBaseModel):  # type: ignore[misc]
    """The `offline_store` section of feature_store.yaml."""

    type: Literal["components.features.feast.offline_store.AsOfOfflineStore"] = (
        "components.features.feast.offline_store.AsOfOfflineStore"
    )
    engine: EngineName = "duckdb"
    """What runs point-in-time joins; values to materialise are always read by DuckDB."""
    root: str
    """Folder or `s3://` prefix that relative paths of FileSources start from: one feature snapshot."""
    memory_limit: str | None = None
    """DuckDB's, such as "2GB"; beyond it joins spill to the temporary folder."""
    threads: int | None = None
    """DuckDB's; None means one a core."""


class AsOfRetrievalJob(RetrievalJob):  # type: ignore[misc]
    """A read that runs each time its result is requested."""

    def __init__(
        self,
        open_reader: Callable[[], pa.RecordBatchReader],
        full_feature_names: bool = False,
        on_demand_feature_views: Sequence[OnDemandFeatureView] = (),
        metadata: RetrievalMetadata | None = None,
    ) -> None:
        """Keep what is needed to run `open_reader` and to add the on-demand features to its result."""
        self._open_reader = open_reader
        self._full_feature_names = full_feature_names
        self._on_demand_feature_views = list(on_demand_feature_views)
        self._metadata = metadata

    @property
    def full_feature_names(self) -> bool:
        """Whether names have the form `view__feature`."""
        return self._full_feature_names

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        """The views whose transformations Feast runs over the result."""
        return self._on_demand_feature_views

    @property
    def metadata(self) -> RetrievalMetadata | None:
        """What was requested; None for reads of a whole source."""
        return self._metadata

    def to_arrow_reader(self) -> pa.RecordBatchReader:
        """Stream the result in batches; with on-demand features it is whole in memory first."""
        return self.to_arrow().to_reader() if self._on_demand_feature_views else self._open_reader()

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:  # noqa: ARG002
        return self._open_reader().read_all()

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        frame: pd.DataFrame = self._to_arrow_internal(timeout).to_pandas()
        return frame


class AsOfOfflineStore(OfflineStore):  # type: ignore[misc]
    """Feast's offline store over parquet, with ASOF joins on DuckDB or Spark."""

    supports_filter_by_created_timestamp = True

    @staticmethod
    def get_historical_features(  # noqa: PLR0913, PLR0917 - the signature is Feast's
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: pd.DataFrame | str | None,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        filter_by_created_timestamp: bool = False,
        **_unused: Any,
    ) -> RetrievalJob:
        """Join the newest known feature values to each row of the entity frame.

        Raises:
            DataError: the entity frame is no pandas frame, lacks a key, has a column named like a feature, or holds
                numbers for times.
        """
        if not isinstance(entity_df, pd.DataFrame):
            raise DataError(
                "get_historical_features: `entity_df` must be a pandas frame, "
                f"but got {type(entity_df).__name__}. Read it into pandas first."
            )
        time_column = infer_event_timestamp_from_entity_df(dict(entity_df.dtypes))
        views = [
            _as_of_view(config, view, feature_refs, full_feature_names, filter_by_created_timestamp)
            for view in feature_views
        ]
        _check_entity_frame(entity_df, time_column, views)
        at = pd.to_datetime(entity_df[time_column], utc=True)
        return AsOfRetrievalJob(
            lambda: _join(config, entity_df, at, views),
            full_feature_names,
            OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry),
            RetrievalMetadata(
                features=feature_refs,
                keys=[column for column in entity_df.columns if column != time_column],
                min_event_timestamp=at.min(),
                max_event_timestamp=at.max(),
            ),
        )

    @staticmethod
    def pull_latest_from_table_or_query(  # noqa: PLR0913, PLR0917 - the signature is Feast's
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime,
        end_date: datetime,
    ) -> RetrievalJob:
        """Read the newest row of each key among those from `start_date` to `end_date`, both inclusive."""
        path = resolve_path(config, data_source)
        columns = (join_key_columns, feature_name_columns, timestamp_field, created_timestamp_column)
        rows = SourceRows(path, *columns, start_date, end_date, _ENTITYLESS_KEY)
        return AsOfRetrievalJob(lambda: _stream_rows(config, rows, query_latest_rows(rows)))

    @staticmethod
    def pull_all_from_table_or_query(  # noqa: PLR0913, PLR0917 - the signature is Feast's
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> RetrievalJob:
        """Read all rows from `start_date` to `end_date`, both inclusive; no feature name means all columns."""
        path = resolve_path(config, data_source)
        columns = (join_key_columns, feature_name_columns, timestamp_field, created_timestamp_column)
        rows = SourceRows(path, *columns, start_date, end_date, _ENTITYLESS_KEY)
        return AsOfRetrievalJob(lambda: _stream_rows(config, rows, query_all_rows(rows)))

    def validate_data_source(self, config: RepoConfig, data_source: DataSource) -> None:
        """Warn, as Feast does, when a source cannot be read yet or lacks its event time."""
        try:
            columns = dict(self.get_table_column_names_and_types_from_data_source(config, data_source))
        except TidemillError as error:
            _logger.warning("feature source %s: %s", data_source.name, error)
            return
        if data_source.timestamp_field not in columns:
            _logger.warning(
                "feature source %s: column `%s` must exist, but got %s.",
                data_source.name,
                data_source.timestamp_field,
                sorted(columns),
            )

    def get_table_column_names_and_types_from_data_source(
        self, config: RepoConfig, data_source: DataSource
    ) -> Iterable[tuple[str, str]]:
        """Read the names and Arrow types of a source's columns, from which Feast infers a schema."""
        query = f"FROM read_parquet({quote_text(resolve_path(config, data_source))}) LIMIT 0"
        schema = _stream(config, query).schema
        return [(field.name, str(field.type)) for field in schema]


def resolve_path(config: RepoConfig, data_source: DataSource | None) -> str:
    """Return what DuckDB reads for a source: a relative path starts at the configured root; a folder is a glob.

    Raises:
        DataError: the source is missing or no FileSource.
    """
    if not isinstance(data_source, FileSource):
        raise DataError(
            "offline store: a feature view must have a FileSource over parquet, "
            f"but got source={type(data_source).__name__}. Declare `source=FileSource(path=...)`."
        )
    path = data_source.path
    if "://" not in path and not Path(path).is_absolute():
        path = f"{config.offline_store.root.rstrip('/')}/{path}"
    is_file = path.endswith(".parquet") or "*" in path
    return path if is_file else f"{path.rstrip('/')}/*.parquet"


def _as_of_view(
    config: RepoConfig, view: FeatureView, feature_refs: list[str], full_feature_names: bool, known_only: bool
) -> AsOfView:
    path = resolve_path(config, view.batch_source)
    source_columns = {name: column for column, name in view.batch_source.field_mapping.items()}
    prefix = f"{view.projection.name_alias or view.name}__" if full_feature_names else ""
    wanted = [ref.split(":")[1] for ref in feature_refs if ref.split(":")[0] == view.projection.name_to_use()]
    keys = [field.name for field in view.entity_columns if field.name != DUMMY_ENTITY_ID]
    created = view.batch_source.created_timestamp_column
    return AsOfView(
        path=path,
        keys={view.projection.join_key_map.get(key, key): source_columns.get(key, key) for key in keys},
        features={prefix + name: source_columns.get(name, name) for name in wanted},
        time=source_columns.get(view.batch_source.timestamp_field, view.batch_source.timestamp_field),
        created=source_columns.get(created, created) or None,
        ttl_us=view.ttl // timedelta(microseconds=1) if view.ttl else None,
        known_only=known_only and bool(created),
    )


def _check_entity_frame(entity_frame: pd.DataFrame, time_column: str, views: Sequence[AsOfView]) -> None:
    columns = list(entity_frame.columns)
    keys = dict.fromkeys(key for view in views for key in view.keys)
    features = [name for view in views for name in view.features]
    faults = [f"column `{key}` must exist, but got {columns}." for key in keys if key not in columns]
    faults += [
        f"a feature must not be named like a column, but got `{name}`. Rename it or set full_feature_names."
        for name in features
        if name in columns
    ]
    kind = pd.api.types.infer_dtype(entity_frame[time_column])
    if kind in ("integer", "floating", "mixed-integer", "mixed-integer-float", "decimal", "boolean"):
        # Numbers would count as nanoseconds since 1970, whatever they are.
        faults.append(
            f"`{time_column}` must hold times, but got {kind} values. Make times of them, with their unit: "
            "pd.to_datetime(..., unit='s', utc=True)."
        )
    raise_faults(DataError, "entity frame", faults)


def _join(
    config: RepoConfig, entity_frame: pd.DataFrame, at: "pd.Series[pd.Timestamp]", views: Sequence[AsOfView]
) -> pa.RecordBatchReader:
    entities = pa.Table.from_pandas(entity_frame, preserve_index=False)
    with explain_duckdb_errors("point-in-time join"):
        store = config.offline_store
        engine = open_engine(store.engine, store.memory_limit, store.threads)
        return join_features(engine, entities, pa.Array.from_pandas(at), views)


def _stream_rows(config: RepoConfig, rows: SourceRows, query: str) -> pa.RecordBatchReader:
    with explain_duckdb_errors("feature source"), using_engine("duckdb") as engine:
        describe_columns(engine, rows.path, [*rows.keys, *rows.features], list_times(rows))
    return _stream(config, query)


def _stream(config: RepoConfig, query: str) -> pa.RecordBatchReader:
    with explain_duckdb_errors("feature source"):
        return _connect(config).sql(query).to_arrow_reader(BATCH_ROWS)


def _connect(config: RepoConfig) -> duckdb.DuckDBPyConnection:
    return connect_duckdb(config.offline_store.memory_limit, config.offline_store.threads)
