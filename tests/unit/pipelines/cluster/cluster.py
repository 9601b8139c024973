"""A cluster in memory: what its API server answers, by path."""

from datetime import UTC, datetime
from typing import Any


class Cluster:
    """Answers as components/base/adapters/kubernetes.py does, for the whole cluster."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.refused: set[tuple[str, str]] = set()
        """Verb and resource."""

    def read(self, path):
        return self.answers.get(path)

    def get(self, kind, name, namespace=""):
        return self.answers.get(kind.path(namespace, name))

    def list(self, kind, labels=None, fields="", namespace=""):
        return [
            one
            for one in self.answers.get(kind.path(namespace), {"items": []})["items"]
            if (labels or {}).items() <= one["metadata"].get("labels", {}).items()
        ]

    def may(self, verb, group, resource, namespace=""):
        return verb != "*" and (verb, resource) not in self.refused if self.refused else True

    def read_clock(self):
        return datetime.now(UTC)


def api(**kinds: str) -> dict[str, Any]:
    """Return the list of an API: plural names by kind."""
    return {"resources": [{"kind": kind, "name": plural} for kind, plural in kinds.items()]}


def deployment(tag: str = "v1", is_available: bool = True) -> dict[str, Any]:
    """Return a Deployment as the API server holds it."""
    status = {"conditions": [{"type": "Available", "status": str(is_available)}]}
    return {
        "spec": {"selector": {}, "template": {"spec": {"containers": [{"image": f"registry.example/a:{tag}"}]}}},
        "status": status,
    }


def gateway_classes(*accepted: bool) -> dict[str, Any]:
    """Return GatewayClasses, each accepted or not."""
    return {
        "items": [
            {
                "metadata": {"name": f"class-{number}"},
                "status": {"conditions": [{"type": "Accepted", "status": str(is_accepted)}]},
            }
            for number, is_accepted in enumerate(accepted)
        ]
    }
