"""A small installation on the test cluster, and something to keep in it: a champion, its features, and rulings."""

import base64
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from components.base.settings import Settings, load_settings
from pipelines.cluster.deploy import Platform
from pipelines.cluster.environment import CHART, Environment
from pipelines.cluster.kubectl import Kubectl

NEEDS_IMAGE = pytest.mark.skipif(
    os.environ.get("TEST_CLUSTER") != "1" or "TEST_IMAGE" not in os.environ,
    reason="needs a cluster with the project's image: set TEST_CLUSTER=1, KUBECONFIG and TEST_IMAGE",
)
NOW = datetime(2013, 8, 1, tzinfo=UTC)
# Kubeflow and KServe belong to other tests; what is proven here needs neither.
BARE = Platform(has_pipelines=False, has_kserve=False)
_SERVICES = (
    "postgresql",
    "redis",
    "objectStore",
    "mlflow",
    "governor",
    "exporter",
    "reports",
    "bootstrap",
    "operations",
)


def make_environment(namespace: str, image: str, folder: Path) -> Environment:
    """Return the environment of one namespace: the profile small with an image of the node, and little CPU."""
    repository, _, tag = image.rpartition(":")
    values: dict[str, object] = {name: {"resources": {"requests": {"cpu": "10m"}}} for name in _SERVICES}
    values |= {"image": {"repository": repository, "tag": tag}, "monitoring": {"objects": "never"}}
    for store in ("postgresql", "redis", "objectStore"):
        values[store] = {"storage": {"size": "1Gi"}, "resources": {"requests": {"cpu": "10m"}}}
    gateways = [
        address["value"]
        for gateway in Kubectl(namespace).read("gateway", "--all-namespaces")
        for address in gateway.get("status", {}).get("addresses", [])
    ]
    values |= {"gatewayUrl": f"http://{gateways[0]}"} if gateways else {}
    # Tests come by address, which MLflow takes for an attack.
    values["mlflow"] = {"allowedHosts": ["*"], "resources": {"requests": {"cpu": "10m"}}}
    file = folder / f"{namespace}.yaml"
    file.write_text(yaml.safe_dump(values))
    return Environment(
        name=namespace, namespace=namespace, profile="small", parts=(), values=(CHART / "values-small.yaml", file)
    )


def read_settings(namespace: str, home: Path) -> Settings:
    """Return the settings of an installation, its Services by address: the node is this machine."""
    kubectl = Kubectl(namespace)
    texts = dict(kubectl.read("configmap", "tidemill-settings")[0]["data"])
    for name in ("tidemill-secrets", "tidemill-governor"):
        (secret,) = kubectl.read("secret", name)
        texts |= {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
    written = json.dumps({key: text for key, text in texts.items() if key.startswith("TIDEMILL_")})
    for service in kubectl.read("service"):
        name = f"{service['metadata']['name']}.{namespace}"
        written = written.replace(name, str(service["spec"].get("clusterIP")))
    known = json.loads(written) | {"TIDEMILL_HOME": str(home), "TIDEMILL_PLATFORM": "local"}
    known.pop("TIDEMILL_PROBLEMS")
    return load_settings(known)


def send_request(settings: Settings, person: str) -> None:
    """Ask the governor of an installation for a training, as a person who paused it: without Kubeflow none starts."""
    from components.governor.inbox import Inbox, Times
    from components.governor.schema import Database

    database = Database(settings.governor_database)
    inbox = Inbox(database)
    inbox.add_problem("flight-delays", NOW)
    inbox.pause("flight-delays", person, "There is no Kubeflow.")
    inbox.open_request("flight-delays", person, "The feed is whole again.", Times(NOW, NOW))
    database.engine.dispose()
