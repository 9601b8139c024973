"""Fixtures for every test: one SeaweedFS a test process, started when the first test asks for it."""

import uuid

import pytest


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory):
    """A real object store on loopback; under pytest-xdist each worker has its own."""
    from components.base.adapters.seaweedfs import SeaweedFS
    from components.base.settings import load_settings

    home = tmp_path_factory.mktemp("home")
    with SeaweedFS(load_settings({"TIDEMILL_HOME": str(home)})) as server:
        yield server


@pytest.fixture
def store_settings(seaweedfs, tmp_path):
    """Settings of a fresh home and a fresh bucket on the session's object store."""
    from components.base.adapters.s3 import open_store
    from components.base.settings import load_settings

    bucket = f"test-{uuid.uuid4().hex}"
    settings = load_settings({"TIDEMILL_HOME": str(tmp_path / "home"), "TIDEMILL_BUCKET": bucket})
    settings = settings.with_store(seaweedfs.endpoint)
    open_store(settings).ensure_bucket()
    return settings


@pytest.fixture
def store(store_settings):
    """An empty bucket of its own on the session's object store."""
    from components.base.adapters.s3 import open_store

    return open_store(store_settings)
