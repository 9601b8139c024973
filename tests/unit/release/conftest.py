"""Fixtures of the release phase."""

import shutil

import pytest


@pytest.fixture(scope="session")
def empty_tracking_database(tmp_path_factory):
    """A migrated MLflow database, made once: the migrations take two seconds."""
    from components.base import tracking
    from components.base.settings import load_settings

    home = tmp_path_factory.mktemp("tracking")
    assert tracking.find_aliases("flight-delays", load_settings({"TIDEMILL_HOME": str(home)})) == {}
    return home / "mlflow.db"


@pytest.fixture
def tracking_settings(tmp_path, empty_tracking_database):
    """Settings of a fresh home whose tracking database is ready."""
    from components.base.settings import load_settings

    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(empty_tracking_database, home / "mlflow.db")
    return load_settings({"TIDEMILL_HOME": str(home)})
