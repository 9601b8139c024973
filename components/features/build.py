"""Build the feature tables: run each view's SQL over the accepted sources, check the result, publish it.

In: the folder of accepted sources, one parquet each. Out: one parquet a feature view, sorted by key and time, under a
prefix named after the content it was built from. Called by the `build` step; Feast reads what it writes.

A view's SQL (feature_repo/<problem>/<view>.sql, a Jinja template, so that views can share one) reads the sources by
name and selects the view's key, its features, `event_timestamp`, the time at which the values were known, and
`created_timestamp`, which breaks ties. Nothing here checks that this time is true:
`tests/unit/features/test_build_leakage.py` does, by cutting the sources off.

Where events known before a time are left out (`components/data/history.py`), a row of a view that reads events is right
from that time plus the view's look-back on: earlier rows are left out too.
"""

import json
import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError

from components.base.adapters.duckdb import connect_duckdb, explain_duckdb_errors, quote_name, quote_text
from components.base.adapters.s3 import ObjectStore
from components.base.contract.binding import create_empty
from components.base.contract.problem import Problem
from components.base.engine import Engine, using_engine
from components.base.errors import ContractError, DataError, raise_faults, suggest_name
from components.base.tables import fingerprint_files
from components.features.feast.feature_store import declarations_folder, declared_views
from components.features.online.reader import OnlineView

_logger = logging.getLogger(__name__)
_TIMES = ("event_timestamp", "created_timestamp")
# Names the tables and is written last: without it a prefix is unfinished.
MARKER = "features.json"
_DAY_SECONDS = 86_400
_DUCKDB_TYPES = {"numeric": "DOUBLE", "categorical": "VARCHAR"}
_KEY_TYPES = {"string": "VARCHAR", "int": "BIGINT", "bool": "BOOLEAN", "timestamp": "TIMESTAMP WITH TIME ZONE"}


def publish_features(problem: Problem, accepted: Path, store: ObjectStore, since: datetime | None = None) -> str:
    """Build the feature tables of a problem unless they are there, and return their prefix.

    Args:
        problem: The contract.
        accepted: Folder with one parquet a source.
        store: Takes the tables.
        since: UTC; events known earlier are not in the folder. None: all are.

    Raises:
        ContractError: the SQL of a view looks further back than that.
        DataError: a source is missing, or a table breaks its view's declaration; all faults are named.
    """
    fingerprint = fingerprint_inputs(problem, accepted, since)
    uri = store.uri(f"{problem.name}/features/{fingerprint}")
    if store.exists(f"{uri}/{MARKER}"):
        store.touch(f"{uri}/{MARKER}")
        _logger.info("build: the tables are built already, %s", uri)
        return uri
    with tempfile.TemporaryDirectory() as folder:
        rows = build_tables(problem, accepted, Path(folder), since)
        store.upload_directory(Path(folder), uri)
    marker = {"problem": problem.name, "fingerprint": fingerprint, "rows": rows}
    store.put_bytes(f"{uri}/{MARKER}", json.dumps(marker, indent=1).encode())
    _logger.info("build: %s rows to %s", f"{sum(rows.values()):,}", uri)
    return uri


def fingerprint_inputs(problem: Problem, accepted: Path, since: datetime | None = None) -> str:
    """Return 16 hexadecimal digits over the accepted sources and the declarations: equal inputs, equal tables.

    Views count as they are declared, SQL as it is rendered.
    """
    folder = declarations_folder(problem)
    declared = {view.name: repr(view) for view in declared_views(problem)}
    declared |= {path.name: render_sql(path) for path in folder.iterdir() if path.suffix == ".sql"}
    if since is not None:
        declared["since"] = since.isoformat()
    return fingerprint_files(_source_files(problem, accepted), declared)[:16]


def render_sql(path: Path) -> str:
    """Render the SQL of a view; it may include other files of its folder, and with the folder's name of another one."""
    environment = Environment(
        loader=FileSystemLoader([path.parent, path.parents[1]]),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - SQL, not HTML
    )
    try:
        return environment.get_template(path.name).render()
    except TemplateError as error:
        raise ContractError(f"build {path.name}: it must be a Jinja template, but got: {error}. Correct it.") from error


def build_tables(problem: Problem, accepted: Path, out: Path, since: datetime | None = None) -> dict[str, int]:
    """Write one checked parquet a view and return their rows by view; `since` as in `publish_features`.

    Raises:
        ContractError: the SQL of a view looks further back than that.
        DataError: a source is missing, or a table breaks its view's declaration; all faults are named.
    """
    views = declared_views(problem)
    starts = {} if since is None else _find_starts(problem, accepted, views, since)
    files = _source_files(problem, accepted)
    with using_engine(problem.data.engine) as engine:
        for path in files:
            engine.execute(f"CREATE VIEW {quote_name(path.stem)} AS FROM read_parquet({quote_text(str(path))})")
        raise_faults(DataError, "build", [fault for view in views for fault in _build_view(engine, problem, view)])
        out.mkdir(parents=True, exist_ok=True)
        return {view.name: _write_view(engine, view, starts.get(view), out) for view in views}


def check_views(problem: Problem) -> None:
    """Bind the SQL of every view against empty sources and compare it with its declaration.

    Raises:
        ContractError: naming each view whose SQL is missing, is none, or selects something else than is declared.
    """
    faults = []
    with using_engine("duckdb") as engine:
        for name, source in problem.sources.items():
            create_empty(engine.execute, name, source)
        for view in declared_views(problem):
            try:
                faults += _create_view(engine, problem, view)
            except (ContractError, DataError) as error:
                faults.append(f"{view.name}: {error}")
    raise_faults(ContractError, f"features of {problem.name}", faults)


def _write_view(engine: Engine, view: OnlineView, start: str | None, out: Path) -> int:
    """Write the rows of a built table from a time on, in the order of its identity, and return their number."""
    identity = [*view.keys, *_TIMES]
    columns = ", ".join(map(quote_name, [*identity, *[feature.name for feature in view.features]]))
    order = ", ".join(map(quote_name, identity))
    chosen = f"WHERE event_timestamp >= {start}" if start else ""
    rows = f"SELECT {columns} FROM {quote_name(view.name)} {chosen} ORDER BY {order}"  # noqa: S608
    place = quote_text(str(out / f"{view.name}.parquet"))
    copied = engine.execute(f"COPY ({rows}) TO {place} (FORMAT parquet, COMPRESSION zstd)")
    return int(copied.fetchall()[0][0])


def _find_starts(
    problem: Problem, accepted: Path, views: Sequence[OnlineView], since: datetime
) -> dict[OnlineView, str]:
    """Return the time from which the rows of each view that reads events are right, as SQL.

    Raises:
        ContractError: with all views whose values could be older than what is read.
    """
    history_days = problem.refresh.history_days or 0
    registers = connect_duckdb()
    for path in _source_files(problem, accepted):
        if problem.sources[path.stem].kind == "snapshot":
            registers.execute(f"CREATE VIEW {quote_name(path.stem)} AS FROM read_parquet({quote_text(str(path))})")
    starts, faults = {}, []
    for view in views:
        # SQL that is understood where there are no events reads none: its rows are not those of a time.
        with suppress(duckdb.CatalogException):
            registers.execute(f"EXPLAIN {render_sql(declarations_folder(problem) / f'{view.name}.sql')}")
            continue
        if view.ttl_seconds is None or view.look_back_seconds is None:
            faults.append(f"{view.name}: it must have a ttl and the tag look_back_hours, but lacks one.")
            continue
        needed = (view.ttl_seconds + view.look_back_seconds) / _DAY_SECONDS
        if needed > history_days:
            faults.append(f"{view.name}: its ttl and look-back are {needed:g} days together, which is more.")
        starts[view] = quote_text((since + timedelta(seconds=view.look_back_seconds)).isoformat()) + "::TIMESTAMPTZ"
    where = f"refresh.history_days of {problem.name}, {history_days}, must cover every view, or be left out"
    raise_faults(ContractError, where, faults)
    return starts


def _source_files(problem: Problem, accepted: Path) -> list[Path]:
    files = [accepted / f"{source}.parquet" for source in problem.sources]
    missing = [file.name for file in files if not file.is_file()]
    raise_faults(
        DataError,
        "build",
        [f"accepted source {name} must exist, but does not. Run `validate` again." for name in missing],
    )
    return files


def _build_view(engine: Engine, problem: Problem, view: OnlineView) -> list[str]:
    """Run the SQL of a view into a table of its name and return what is wrong with it or its rows."""
    # Rows are checked through the declared columns, so these must be there.
    return _create_view(engine, problem, view) or [f"{view.name}: {fault}" for fault in _row_faults(engine, view)]


def _create_view(engine: Engine, problem: Problem, view: OnlineView) -> list[str]:
    """Run the SQL of a view into a table of its name and return in what it is another one than declared."""
    path = declarations_folder(problem) / f"{view.name}.sql"
    if not path.is_file():
        return [f"{view.name}: {path.name} must exist beside views.py, but does not."]
    with explain_duckdb_errors(f"build {path.name}"):
        engine.execute(f"CREATE TEMP TABLE {quote_name(view.name)} AS {render_sql(path)}")
    return [f"{view.name}: {fault}" for fault in _schema_faults(engine, view)]


def _schema_faults(engine: Engine, view: OnlineView) -> Iterator[str]:
    declared = {
        **{key: _KEY_TYPES[kind] for key, kind in zip(view.keys, view.key_types, strict=True)},
        **dict.fromkeys(_TIMES, _KEY_TYPES["timestamp"]),
        **{feature.name: _DUCKDB_TYPES[feature.kind] for feature in view.features},
    }
    described = engine.execute(f"DESCRIBE {quote_name(view.name)}").fetchall()
    built = {str(row[0]): str(row[1]) for row in described}
    for name, kind in declared.items():
        if name not in built:
            yield f"column `{name}` must be selected, but is not.{suggest_name(name, built)}"
        elif built[name] != kind:
            yield f"column `{name}` must be of type {kind}, but got {built[name]}. Cast it in the SQL."
    for name in built:
        if name not in declared:
            yield f"column `{name}` must be declared in views.py, but is not.{suggest_name(name, declared)}"


def _row_faults(engine: Engine, view: OnlineView) -> Iterator[str]:
    table = quote_name(view.name)
    identity = ", ".join(map(quote_name, [*view.keys, *_TIMES]))
    numbers = [feature.name for feature in view.features if feature.kind == "numeric"]
    checks = {name: f"count(*) FILTER ({quote_name(name)} IS NULL)" for name in [*view.keys, *_TIMES]}
    checks |= {name: f"count(*) FILTER (NOT isfinite({quote_name(name)}))" for name in numbers}
    # Names come from checked declarations and are quoted.
    counted = f"SELECT count(*), {', '.join(checks.values())} FROM {table}"  # noqa: S608
    counts = engine.execute(counted).fetchall()[0]
    if counts[0] == 0:
        yield "the table must have rows, but got none. Check its sources."
    for name, count in zip(checks, counts[1:], strict=True):
        if count:
            rule = "be finite or NULL" if name in numbers else "not be NULL"
            yield f"`{name}` must {rule}, but in {count:,} of {counts[0]:,} rows it is not."
    grouped = f"SELECT {identity}, count(*) AS n FROM {table} GROUP BY ALL HAVING n > 1"  # noqa: S608
    doubled = engine.execute(f"{grouped} ORDER BY ALL LIMIT 1").fetchall()
    if doubled:
        found = ", ".join(map(str, doubled[0][:-1]))
        yield f"({identity}) must be unique, but got {doubled[0][-1]} rows of ({found}). Aggregate them in the SQL."
