"""MLflow's tables on a real PostgreSQL, made by several pods at once."""

import subprocess
import sys

import pytest
from sqlalchemy import create_engine, inspect, text

from components.base.adapters.mlflow_schema import upgrade_mlflow_schema
from components.base.errors import SettingsError, TransientError
from tests.contracts.running_postgresql import running_postgresql


def test_pods_that_start_at_once_make_the_tables_once(tmp_path):
    with running_postgresql() as url:
        engine = create_engine(f"{url}/postgres", isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text("CREATE DATABASE mlflow"))
        engine.dispose()
        secret = tmp_path / "uri"
        secret.write_text(f"{url}/mlflow\n")
        command = [sys.executable, "-m", "pipelines.commands", "bootstrap", "schema", "--timeout-seconds", "0"]
        pods = [
            subprocess.Popen([*command, "--database-file", secret], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            for _ in range(2)
        ]
        outputs = [pod.communicate()[0].decode() for pod in pods]
        assert [pod.returncode for pod in pods] == [0, 0], outputs
        engine = create_engine(f"{url}/mlflow")
        assert {"experiments", "runs", "registered_models", "alembic_version"} <= set(inspect(engine).get_table_names())
        engine.dispose()


def test_a_database_that_does_not_answer_may_answer_later():
    with pytest.raises(TransientError, match="must answer"):
        upgrade_mlflow_schema("postgresql+psycopg://mlflow:secret@127.0.0.1:9/mlflow")


def test_a_wrong_url_is_refused_without_its_password():
    with pytest.raises(SettingsError, match="must be postgresql") as caught:
        upgrade_mlflow_schema("mysql://mlflow:secret@127.0.0.1/mlflow")
    assert "secret" not in str(caught.value)
