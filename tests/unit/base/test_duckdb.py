"""The DuckDB connection: offline, in UTC, limited, and with S3 as the environment says."""

import re

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.base.adapters.duckdb import connect_duckdb, explain_duckdb_errors, quote_name, quote_text
from components.base.errors import DataError, ObjectMissingError, SettingsError

VARIABLES = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
]


@pytest.fixture(autouse=True)
def _no_aws(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def secret_of(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    text = connection.sql("SELECT secret_string FROM duckdb_secrets()").fetchall()[0][0]
    return dict(part.split("=", 1) for part in text.split(";"))


def test_connection_is_limited_in_utc_and_never_downloads_an_extension():
    connection = connect_duckdb(memory_limit="1GB", threads=1)
    names = ["threads", "memory_limit", "TimeZone", "autoinstall_known_extensions", "autoload_known_extensions"]
    values = [connection.sql(f"SELECT current_setting('{name}')").fetchone()[0] for name in names]
    assert values == [1, "953.6 MiB", "UTC", False, False]


def test_two_connections_are_two_databases_with_two_temporary_folders():
    first, second = connect_duckdb(), connect_duckdb()
    first.execute("CREATE TABLE flights (number INTEGER)")
    folders = {one.sql("SELECT current_setting('temp_directory')").fetchone()[0] for one in (first, second)}
    assert second.sql("SELECT count(*) FROM duckdb_tables()").fetchone() == (0,)
    assert len(folders) == 2


def test_secret_takes_endpoint_and_keys_from_the_environment(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://elsewhere:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:8333")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "it's me")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x'y")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-1")
    secret = secret_of(connect_duckdb())
    assert secret["endpoint"] == "127.0.0.1:8333"
    assert secret["key_id"] == "it's me"
    assert (secret["use_ssl"], secret["url_style"], secret["region"]) == ("false", "path", "eu-1")


def test_secret_without_endpoint_means_aws_itself(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert "url_style" not in secret_of(connect_duckdb())


def test_endpoint_without_scheme_is_refused(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "127.0.0.1:8333")
    with pytest.raises(SettingsError, match=re.escape("the S3 endpoint must be an http(s) URL, but got")):
        connect_duckdb()


def test_errors_say_where_and_keep_duckdbs_words(tmp_path):
    with (
        pytest.raises(ObjectMissingError, match=re.escape("ingest: ") + ".*flights.parquet"),
        explain_duckdb_errors("ingest"),
    ):
        duckdb.sql(f"FROM '{tmp_path}/flights.parquet'")
    with pytest.raises(DataError, match="Binder Error"), explain_duckdb_errors("ingest"):
        duckdb.sql("SELECT carrier FROM range(1)")


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_quoted_texts_and_names_come_back_as_they_were(text):
    relation = duckdb.sql(f"SELECT {quote_text(text)} AS {quote_name(text)}")
    assert (relation.columns, relation.fetchall()) == ([text], [(text,)])
