"""Feature tables are checked against their declaration before anybody reads them, and are named after their inputs."""

import json
import re
import shutil

import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer

from components.base.adapters.s3 import ObjectStore
from components.base.errors import ContractError, DataError
from components.base.settings import S3Endpoint
from components.features import build
from components.features.build import build_tables, check_views, fingerprint_inputs, publish_features, render_sql
from components.features.feast.feature_store import declarations_folder, declared_views


@pytest.fixture
def accepted(tmp_path, write_accepted, make):
    return write_accepted(tmp_path / "accepted", make.flights(make.flight(n, n * 60, n) for n in range(1, 30)))


@pytest.fixture
def declarations(tmp_path, problem, monkeypatch):
    """A copy of the declarations whose SQL a test may change."""
    folder = tmp_path / "declarations"
    shutil.copytree(declarations_folder(problem), folder)
    monkeypatch.setattr(build, "declarations_folder", lambda _: folder)
    return folder


def test_every_view_becomes_a_table_sorted_by_key_and_time(problem, accepted, tmp_path):
    rows = build_tables(problem, accepted, tmp_path / "features")
    for view in declared_views(problem):
        table = pq.read_table(tmp_path / "features" / f"{view.name}.parquet")
        assert table.num_rows == rows[view.name]
        names = [feature.name for feature in view.features]
        assert table.column_names == [*view.keys, "event_timestamp", "created_timestamp", *names]
        order = list(zip(*[table[name].to_pylist() for name in table.column_names[:2]], strict=True))
        assert order == sorted(order)


def test_the_same_sources_give_the_same_bytes(problem, accepted, tmp_path):
    for folder in ("one", "two"):
        build_tables(problem, accepted, tmp_path / folder)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (("AS plane_seats", "AS plane_seat"), "column `plane_seats` must be selected, but is not. Did you mean"),
        (("AS plane_seats", "AS plane_seat"), "column `plane_seat` must be declared in views.py, but is not."),
        (("CAST(seats AS DOUBLE)", "seats"), "column `plane_seats` must be of type DOUBLE, but got BIGINT."),
        (("    tailnum,", "    nullif(tailnum, 'N1') AS tailnum,"), "`tailnum` must not be NULL, but in 1 of 1 rows"),
        (
            ("CAST(seats AS DOUBLE)", "CAST('inf' AS DOUBLE)"),
            "`plane_seats` must be finite or NULL, but in 1 of 1 rows",
        ),
        (("FROM planes", "FROM planes, range(2)"), "must be unique, but got 2 rows of (N1, 1970-01-01"),
        (("FROM planes", "FROM planes WHERE false"), "the table must have rows, but got none."),
    ],
)
def test_a_table_that_breaks_its_declaration_is_refused(problem, accepted, tmp_path, declarations, edit, fault):
    sql = declarations / "plane_profile.sql"
    sql.write_text(sql.read_text().replace(*edit))
    with pytest.raises(DataError, match=re.escape("plane_profile: ")) as caught:
        build_tables(problem, accepted, tmp_path / "features")
    assert fault in str(caught.value)


def test_views_are_checked_before_there_is_any_row(problem, declarations):
    check_views(problem)
    (declarations / "route_delays.sql").unlink()
    for name, old, new in (
        ("plane_profile", "CAST(seats AS DOUBLE)", "CAST(seets AS DOUBLE)"),
        ("origin_weather", "event_timestamp", "known_at"),
        ("carrier_delays", 'key, subject = "carrier"', "key = "),
    ):
        file = declarations / f"{name}.sql"
        file.write_text(file.read_text().replace(old, new))
    with pytest.raises(ContractError) as refused:
        check_views(problem)
    words = str(refused.value)
    for part in (
        "features of flight-delays: ",
        "plane_profile: build plane_profile.sql: DuckDB must be able to read and join the tables, but got Binder Error",
        "route_delays: route_delays.sql must exist beside views.py, but does not.",
        "carrier_delays: build carrier_delays.sql: it must be a Jinja template",
        "origin_weather: ",
    ):
        assert part in words


def test_faults_of_all_views_are_reported_at_once(problem, accepted, tmp_path, declarations):
    (declarations / "route_delays.sql").unlink()
    sql = declarations / "plane_profile.sql"
    sql.write_text(sql.read_text().replace("AS plane_seats", "AS seats"))
    with pytest.raises(DataError, match=re.escape("build: 3 faults.")) as caught:
        build_tables(problem, accepted, tmp_path / "features")
    assert "route_delays: route_delays.sql must exist beside views.py, but does not." in str(caught.value)
    assert not (tmp_path / "features").exists()


def test_broken_sql_names_its_file(problem, accepted, tmp_path, declarations):
    (declarations / "plane_profile.sql").write_text("SELECT tail FROM planes")
    with pytest.raises(DataError, match=re.escape("build plane_profile.sql: ")):
        build_tables(problem, accepted, tmp_path / "features")


def test_a_template_that_cannot_be_rendered_names_its_file(problem, accepted, tmp_path, declarations):
    (declarations / "plane_profile.sql").write_text("SELECT {{ kee }} FROM planes")
    with pytest.raises(
        ContractError, match=re.escape("build plane_profile.sql: it must be a Jinja template, but got: ")
    ):
        build_tables(problem, accepted, tmp_path / "features")


def test_views_that_share_a_template_differ_in_their_key_alone(problem):
    carrier, origin = (
        render_sql(declarations_folder(problem) / f"{name}_delays.sql") for name in ("carrier", "origin")
    )
    assert carrier.splitlines()[1:] == origin.replace("origin", "carrier").splitlines()[1:]


def test_the_fingerprint_is_of_the_rendered_sql(problem, accepted, declarations):
    """Writing a view out instead of including its template changes no table, and no prefix."""
    before = fingerprint_inputs(problem, accepted)
    sql = declarations / "carrier_delays.sql"
    sql.write_text(render_sql(sql))
    assert fingerprint_inputs(problem, accepted) == before
    shared = declarations / "delays.sql.j2"
    shared.write_text(shared.read_text() + "-- changed\n")
    assert fingerprint_inputs(problem, accepted) != before


def test_missing_sources_are_all_named(problem, accepted, tmp_path):
    for name in ("planes", "weather"):
        (accepted / f"{name}.parquet").unlink()
    with pytest.raises(DataError, match=re.escape("accepted source weather.parquet must exist")) as caught:
        build_tables(problem, accepted, tmp_path / "features")
    assert "planes.parquet" in str(caught.value)


def test_another_sql_or_another_source_gives_another_prefix(problem, accepted, declarations, write_accepted, make):
    first = fingerprint_inputs(problem, accepted)
    assert fingerprint_inputs(problem, accepted) == first
    sql = declarations / "plane_profile.sql"
    sql.write_text(sql.read_text() + "-- changed\n")
    second = fingerprint_inputs(problem, accepted)
    write_accepted(accepted, make.flights([make.flight(1, 0)]))
    assert len({first, second, fingerprint_inputs(problem, accepted)}) == 3


@pytest.fixture
def store():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    opened = ObjectStore(S3Endpoint(f"http://{host}:{port}", "key", "secret"), "tidemill")
    opened.ensure_bucket()
    yield opened
    server.stop()


def test_published_tables_are_marked_last_and_built_once(problem, accepted, store, monkeypatch):
    uri = publish_features(problem, accepted, store)
    marker = json.loads(store.get_bytes(f"{uri}/features.json"))
    assert uri.endswith(f"flight-delays/features/{marker['fingerprint']}")
    stored = {item.key.rsplit("/", 1)[1] for item in store.list_objects(uri)}
    assert stored == {"features.json", *[f"{view.name}.parquet" for view in declared_views(problem)]}
    monkeypatch.setattr(build, "build_tables", lambda *_: pytest.fail("built again"))
    assert publish_features(problem, accepted, store) == uri


def test_an_unfinished_prefix_is_built_again(problem, accepted, store):
    uri = publish_features(problem, accepted, store)
    store.delete(f"{uri}/features.json")
    store.delete(f"{uri}/plane_profile.parquet")
    assert publish_features(problem, accepted, store) == uri
    assert store.exists(f"{uri}/plane_profile.parquet")
