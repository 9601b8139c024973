"""The adapter of Feast: open its store, register declarations, join features, and encode what it stores in SQLite.

In: the settings, a problem, and `features_uri`, the prefix that `build` wrote. Out: plain tables and `OnlineView`s; a
caller needs no type of Feast. Called by `build`, `prepare`, `materialize` and the online store; only this module, the
offline store and the declarations in feature_repo/ import Feast.
"""

import importlib
import logging
import string
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pyarrow as pa
import yaml

from components.base.contract.names import OF_ROWS, taken_from
from components.base.contract.problem import Problem
from components.base.contract.types import ColumnType
from components.base.dataset import Feature
from components.base.engine import EngineName
from components.base.errors import ContractError, DataError, raise_faults, suggest_name
from components.base.settings import Settings
from components.base.values import KEY_TYPES
from components.features.online.reader import Key, OnlineView
from components.features.request import feature_kind

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView

REPOSITORY = Path(__file__).parents[3] / "feature_repo"
# Of a view whose SQL reads events: hours, see `OnlineView.look_back_seconds`.
LOOK_BACK_TAG = "look_back_hours"
# Encoded keys and decoded values that a server keeps: a day of flights has some thousands.
_CACHED_KEYS = 50_000
_ROW = "entity_row"
# What Feast calls the key of a view without an entity.
_NO_ENTITY = "__dummy_id"
_KEY_TYPES: dict[str, ColumnType] = {"String": "string", "Int64": "int", "Bool": "bool", "UnixTimestamp": "timestamp"}


def open_feature_store(settings: Settings, features_uri: str = "") -> "FeatureStore":
    """Open Feast as configured in feature_repo/feature_store.yaml.

    Args:
        settings: Where registry and online store are.
        features_uri: Folder or `s3://` prefix of the feature tables; not needed for online reads.
    """
    return _open(settings.registry, settings.online_store, features_uri)


@contextmanager
def open_scratch_store(problem: Problem, features_uri: str) -> Iterator["FeatureStore"]:
    """Open Feast with a registry and an online store that are removed at the end of the block.

    It reads the declarations of this code, not the registered ones, and changes nothing that is served.
    """
    with tempfile.TemporaryDirectory() as folder:
        store = _open(f"{folder}/registry.db", f"{folder}/online.db", features_uri, problem.data.engine)
        apply(store, problem)
        yield store


def _open(registry: str, online_store: str, features_uri: str, engine: EngineName = "duckdb") -> "FeatureStore":
    with _quick_import():
        from feast import FeatureStore, RepoConfig

    # Feast logs every read of the registry, and warns of a setting that does work with registry files.
    logging.getLogger("feast").setLevel(logging.WARNING)
    logging.getLogger("feast.repo_config").setLevel(logging.ERROR)
    places = {
        "TIDEMILL_REGISTRY": registry,
        "TIDEMILL_ONLINE_STORE": online_store,
        "TIDEMILL_FEATURES": features_uri,
    }
    text = (REPOSITORY / "feature_store.yaml").read_text(encoding="utf-8")
    configuration = yaml.safe_load(string.Template(text).substitute(places))
    configuration["offline_store"]["engine"] = engine
    if "://" in registry:
        configuration["registry"]["registry_type"] = "sql"
    else:
        Path(registry).parent.mkdir(parents=True, exist_ok=True)
    if is_redis(online_store):
        url = urlsplit(online_store)
        # Feast registers declarations for it, and neither reads nor writes there: no password, and no search for keys.
        place = f"{url.hostname}:{url.port or 6379},db={url.path.strip('/') or 0}"
        configuration["online_store"] = {"type": "redis", "connection_string": place, "full_scan_for_deletion": False}
    else:
        Path(online_store).parent.mkdir(parents=True, exist_ok=True)
    return FeatureStore(config=RepoConfig(**configuration, repo_path=REPOSITORY))


def is_redis(online_store: str) -> bool:
    """Return whether the place of an online store is the URL of a Redis."""
    return urlsplit(online_store).scheme in ("redis", "rediss")


def apply(store: "FeatureStore", problem: Problem) -> None:
    """Register the problem's declarations and create the tables of the online store."""
    store.apply(_declarations(problem))
    _close_registry(store)


def declared_views(problem: Problem) -> list[OnlineView]:
    """Return the views of the problem's feature service as declared in feature_repo/, by name.

    Raises:
        ContractError: the declarations are missing, lack the service, have a feature of another type than Float64 and
            String, a name twice or one of the platform's, or a key that requests do not hold.
    """
    with _quick_import():
        from feast import FeatureService, FeatureView

    declared = _declarations(problem)
    services = {item.name: item for item in declared if isinstance(item, FeatureService)}
    service = services.get(problem.features.service)
    if service is None:
        raise ContractError(
            f"features.service: a service of feature_repo/{declarations_folder(problem).name} must be named, "
            f"but got {problem.features.service!r}.{suggest_name(problem.features.service, services)}"
        )
    by_name = {item.name: item for item in declared if isinstance(item, FeatureView)}
    views = [describe_view(by_name[projection.name]) for projection in service.feature_view_projections]
    raise_faults(ContractError, f"service {problem.features.service}", list(_name_faults(problem, views)))
    return sorted(views, key=lambda view: view.name)


def _name_faults(problem: Problem, views: Sequence[OnlineView]) -> Iterator[str]:
    """Yield in words which names of features or keys cannot be told from others; SQL knows no case."""
    request = problem.features.request
    held = {*request, *problem.sources[problem.examples.source].columns, problem.target.name}
    names = [feature.name for view in views for feature in view.features]
    counts = Counter(name.lower() for name in names)
    doubled = sorted({name for name in names if counts[name.lower()] > 1 or name.lower() in held})
    if doubled:
        yield (
            "names of features must differ from each other, whatever their case, and from the target, request features "
            f"and columns, but got {', '.join(doubled)} twice. Rename them in feature_repo/."
        )
    for name in names:
        yield from (f"feature {words}" for words in taken_from(name, OF_ROWS))
    yield from _key_faults(problem, views)


def _key_faults(problem: Problem, views: Sequence[OnlineView]) -> Iterator[str]:
    """Yield in words which keys no request holds, or holds in another type: it would never be found by them."""
    request, columns = problem.features.request, problem.sources[problem.examples.source].columns
    for view in views:
        if unknown := [key for key in view.keys if key not in {*request, *problem.examples.request}]:
            yield (
                f"keys of {view.name} must be columns of examples.request or features of features.request, by which a "
                f"row is looked up, but got {', '.join(unknown)}. Let the caller send them."
            )
        for key, kind in zip(view.keys, view.key_types, strict=True):
            if key in unknown:
                continue
            is_number = key in request and feature_kind(problem, key) == "numeric"
            sent = "float" if is_number else "string" if key in request else columns[key].type
            if sent != kind:
                where = f"features.request.{key}" if key in request else f"sources.{problem.examples.source}.{key}"
                yield (
                    f"key `{key}` of {view.name} must have one type, {', '.join(sorted(KEY_TYPES))}, but {where} is "
                    f"{sent} and feature_repo/ declares {kind}. Declare one of them otherwise."
                )


def registered_views(problem: Problem, settings: Settings) -> list[OnlineView]:
    """Return the views of the problem's service as the last filling registered them, by name."""
    store = open_feature_store(settings)
    service = store.get_feature_service(problem.features.service)
    registered = [store.get_feature_view(projection.name) for projection in service.feature_view_projections]
    _close_registry(store)
    return sorted((describe_view(view) for view in registered), key=lambda view: view.name)


def _close_registry(store: "FeatureStore") -> None:
    """Close the connections to a registry in a database: a predictor reads it once and would keep one for life."""
    for engine in ("read_engine", "write_engine"):
        if hasattr(store.registry, engine):
            getattr(store.registry, engine).dispose()


def join_features(store: "FeatureStore", problem: Problem, entities: pd.DataFrame) -> pa.Table:
    """Join the feature values known at each row's time.

    Args:
        store: Opened on the feature tables.
        problem: Whose service is joined.
        entities: (n, keys + 1): the key columns of all views, and `event_timestamp`, a time in UTC.

    Returns:
        (n, features): the rows in order, one column a feature, in the order of `declared_views`; none without views.

    Raises:
        DataError: rows were lost, doubled or moved.
    """
    views = declared_views(problem)
    if not views:
        # Feast refuses to join nothing; a service without views is a model of request features.
        return pa.table({})
    names = [feature.name for view in views for feature in view.features]
    references = [f"{view.name}:{feature.name}" for view in views for feature in view.features]
    numbered = entities.assign(**{_ROW: np.arange(len(entities))})
    job = store.get_historical_features(numbered, references, full_feature_names=False)
    joined = job.to_arrow()
    if not np.array_equal(joined.column(_ROW).to_numpy(), np.arange(len(entities))):
        raise DataError(
            "join features: every row must come back once and in order, "
            f"but got rows={joined.num_rows} for {len(entities)}. Check the offline store."
        )
    return joined.select(names)


def describe_view(view: "FeatureView") -> OnlineView:
    """Describe a Feast view, its features in alphabetical order.

    Raises:
        ContractError: a feature or a key is of a type that the online stores do not hold, or there is no key.
    """
    kinds: dict[str, Literal["numeric", "categorical"]] = {"Float64": "numeric", "String": "categorical"}
    described = []
    for field in sorted(view.features, key=lambda field: str(field.name)):
        kind = kinds.get(str(field.dtype))
        if kind is None:
            raise ContractError(
                f"view {view.name}: `{field.name}` must be of type Float64 or String, but got {field.dtype}. "
                "Cast it in the view's SQL."
            )
        described.append(Feature(field.name, kind, view.name, field.description, field.tags.get("unit")))
    keys = [field.name for field in view.entity_columns]
    if not view.join_keys or view.join_keys == [_NO_ENTITY]:
        raise ContractError(
            f"view {view.name}: it must have an entity, but has none: requests find values by a key. Give it one that "
            "each request holds, such as its country, and select that in the view's SQL."
        )
    of_keys = {field.name: _KEY_TYPES.get(str(field.dtype)) for field in view.entity_columns}
    if unknown := [str(field.dtype) for field in view.entity_columns if of_keys[field.name] is None]:
        raise ContractError(
            f"view {view.name}: its keys must be of type {', '.join(_KEY_TYPES)}, but got {', '.join(unknown)}. "
            "Cast them in the view's SQL, and declare them so."
        )
    look_back = view.tags.get(LOOK_BACK_TAG)
    return OnlineView(
        name=view.name,
        keys=tuple(keys),
        key_types=tuple([kind for kind in of_keys.values() if kind]),
        features=tuple(described),
        ttl_seconds=view.ttl.total_seconds() if view.ttl else None,
        look_back_seconds=None if look_back is None else float(look_back) * 3600,
    )


def _declarations(problem: Problem) -> list[Any]:
    """Return every Feast object of feature_repo/<problem>/views.py."""
    with _quick_import():
        from feast import Entity, FeatureService, FeatureView

    folder = declarations_folder(problem)
    if not (folder / "views.py").is_file():
        raise ContractError(
            f"problem {problem.name}: feature_repo/{folder.name}/views.py must declare its features, but is missing."
        )
    module = importlib.import_module(f"feature_repo.{folder.name}.views")
    return [item for item in vars(module).values() if isinstance(item, Entity | FeatureView | FeatureService)]


def declarations_folder(problem: Problem) -> Path:
    """Return the folder of feature_repo/ that holds the problem's `views.py` and one SQL file a view."""
    return REPOSITORY / problem.name.replace("-", "_")


@cache
def online_table(view: str) -> str:
    """Return the name of the SQLite table that Feast makes of a view."""
    project = yaml.safe_load((REPOSITORY / "feature_store.yaml").read_text(encoding="utf-8"))["project"]
    return f"{project}_{view}"


def encode_value(value: float | str | None) -> bytes:
    """Return a feature's value as Feast stores it; missing is empty."""
    from feast.protos.feast.types.Value_pb2 import Value

    if value is None or value != value:  # noqa: PLR0124 - NaN is the one value that differs from itself
        return b""
    encoded = Value(string_val=value) if isinstance(value, str) else Value(double_val=value)
    return bytes(encoded.SerializeToString())


def stored_seconds(time: datetime) -> int:
    """Return a time as Feast writes it to SQLite: in UTC, as if it were a time of the local zone."""
    return int(time.astimezone(UTC).replace(tzinfo=None).timestamp())


@lru_cache(maxsize=_CACHED_KEYS)
def encode_key(columns: Sequence[str], key: Key, types: Sequence[ColumnType] = ()) -> bytes:
    """Return the key columns and an entity's key as Feast stores them: whole numbers as such, all else as text."""
    from feast.infra.key_encoding_utils import serialize_entity_key
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    kinds = types or ["string"] * len(key)
    values = [
        Value(int64_val=int(part)) if kind == "int" else Value(string_val=part)
        for part, kind in zip(key, kinds, strict=True)
    ]
    return bytes(serialize_entity_key(EntityKey(join_keys=columns, entity_values=values), 3))


@lru_cache(maxsize=_CACHED_KEYS)
def decode_value(stored: bytes) -> Any:
    """Return the feature value that Feast stored; None when it is missing."""
    from feast.protos.feast.types.Value_pb2 import Value

    value = Value.FromString(stored)
    kind = value.WhichOneof("val")
    return None if kind is None else getattr(value, kind)


@contextmanager
def _quick_import() -> Iterator[None]:
    """Import Feast without its run-time type checks, as `python -O` does.

    Typeguard rewrites Feast's classes while they are imported, which takes half of five seconds in every process.
    """
    import typeguard

    def unchecked(target: Any = None, **_options: Any) -> Any:
        return unchecked if target is None else target

    names = vars(typeguard)
    checked = names["typechecked"]
    names["typechecked"] = unchecked
    try:
        yield
    finally:
        names["typechecked"] = checked
