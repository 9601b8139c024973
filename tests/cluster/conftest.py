"""One installation for the tests of a cluster that need no Kubeflow and no KServe."""

import os
import uuid

import pytest

from pipelines.cluster.deploy import deploy, name_contracts
from pipelines.cluster.helm import Helm
from pipelines.cluster.kubectl import Kubectl
from tests.cluster.installation import BARE, make_environment, read_settings
from tests.unit.conftest import empty_tracking_database, fill_features  # noqa: F401 - a fixture


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    """The installation's place; its namespace goes at the end."""
    namespace = f"day2-{uuid.uuid4().hex[:6]}"
    made = make_environment(namespace, os.environ["TEST_IMAGE"], tmp_path_factory.mktemp("environment"))
    deploy(Helm(made, (*name_contracts(), *BARE.words)), BARE, 600, print)
    yield made
    Kubectl(namespace).run("delete", "namespace", namespace, "--wait=false", "--ignore-not-found")


@pytest.fixture
def tracking_settings(environment, tmp_path):
    """The installation's own stores, seen from here, with features in them."""
    settings = read_settings(environment.namespace, tmp_path / "home")
    fill_features(tmp_path / "features", settings)
    return settings
