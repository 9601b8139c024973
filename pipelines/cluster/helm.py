"""The chart in one environment: what Helm has installed there, what it would install, and the upgrade itself.

In: an environment, and words for Helm that say image and contracts. Out: renderings and a new revision. Called by
`deploy`, `restore` and `drill`. Helm's record of a revision that was interrupted blocks every later one: `recover`
removes the record, and the next upgrade takes over the objects that carry the release's name.
"""

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from components.base.adapters.kubernetes import PODS, Kubernetes, is_true
from components.base.errors import PermanentError
from pipelines.cluster.environment import CHART, Environment
from pipelines.cluster.kubectl import Kubectl, find_program

Say = Callable[[str], None]
Values = dict[str, Any]
_PODS = {"app.kubernetes.io/part-of": "tidemill"}
# What pods wait for is read while Helm waits: an atomic upgrade removes them before it gives up.
_LOOK_SECONDS = 20.0


@dataclass(frozen=True)
class Revision:
    """The newest revision of a release."""

    number: int
    status: str
    """Helm's: deployed, failed, pending-install, pending-upgrade, pending-rollback, uninstalling."""

    @property
    def is_interrupted(self) -> bool:
        """Whether Helm ended before the revision did."""
        return self.status.startswith("pending") or self.status == "uninstalling"


@dataclass(frozen=True)
class Helm:
    """The release of an environment."""

    environment: Environment
    words: tuple[str, ...] = field(default=())
    """For an upgrade: image, contracts, and what a command overrides."""

    def find(self) -> Revision | None:
        """Return the newest revision; None when nothing is installed."""
        done = self._call("list", "--all", "--filter", f"^{self.environment.release}$", "--output", "json")
        found = json.loads(done)
        return Revision(int(found[0]["revision"]), found[0]["status"]) if found else None

    def read_manifest(self) -> str:
        """Return the objects of the newest revision as YAML."""
        return self._call("get", "manifest", self.environment.release)

    def read_values(self) -> Values:
        """Return what the installation was given beyond the chart's values."""
        values: Values = json.loads(self._call("get", "values", self.environment.release, "--output", "json")) or {}
        return values

    def render(self) -> str:
        """Return the objects that an upgrade would apply, with the passwords that the cluster holds."""
        return str(json.loads(self._call(*self._upgrade(), "--dry-run=server", "--output", "json"))["manifest"])

    def upgrade(self, timeout_seconds: float, say: Say) -> None:
        """Install or upgrade, wait until everything is ready, and go back to the revision before if it is not.

        Raises:
            PermanentError: with Helm's words, and the reasons that pods gave meanwhile.
        """
        waiting = ("--wait", "--wait-for-jobs", "--atomic", "--timeout", f"{timeout_seconds:.0f}s")
        command = [find_program("helm"), *self._upgrade(), "--create-namespace", *waiting]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        cluster, reasons = Kubernetes(self.environment.namespace), ""
        while True:
            try:
                _, faults = process.communicate(timeout=_LOOK_SECONDS)
                break
            except subprocess.TimeoutExpired:
                waiting_for = [name for name, is_ready in _list_pods(cluster) if not is_ready]
                say(f"  waits for {', '.join(waiting_for) or 'Helm'}")
                reasons = cluster.explain_pods(_PODS) if waiting_for else ""
        if process.returncode != 0:
            raise PermanentError(
                f"environment {self.environment.name}: every pod must become ready within {timeout_seconds:.0f} "
                f"seconds, but got: {faults.strip()[-1000:]} {reasons} What was installed before is in force again."
            )

    def recover(self, revision: Revision) -> None:
        """Remove what an interrupted revision left in Helm's way: its record, and its Job, which cannot be changed."""
        kubectl = Kubectl(self.environment.namespace)
        kubectl.run(
            "delete",
            "secret",
            f"sh.helm.release.v1.{self.environment.release}.v{revision.number}",
            "--ignore-not-found",
        )
        kubectl.run("delete", "job", f"tidemill-bootstrap-{revision.number}", "--ignore-not-found")

    def uninstall(self, timeout_seconds: float) -> None:
        """Remove every object but the Secrets and volumes that keep data."""
        self._call("uninstall", self.environment.release, "--wait", "--timeout", f"{timeout_seconds:.0f}s")

    def _upgrade(self) -> list[str]:
        environment = self.environment
        place = ["--namespace", environment.namespace]
        return ["upgrade", "--install", environment.release, str(CHART), *place, *environment.values_words, *self.words]

    def _call(self, *words: str) -> str:
        command = [find_program("helm"), *words]
        if "--namespace" not in words:
            command += ["--namespace", self.environment.namespace]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise PermanentError(
                f"helm {words[0]} in {self.environment.namespace}: it must succeed, but got: "
                f"{done.stderr.strip()[-1500:]}"
            )
        return done.stdout


def _list_pods(cluster: Kubernetes) -> Iterator[tuple[str, bool]]:
    """Yield the name of each pod, and whether it is ready or has done its work."""
    for pod in cluster.list(PODS, _PODS):
        yield pod["metadata"]["name"], is_true(pod["status"], "Ready") or pod["status"]["phase"] == "Succeeded"


def merge_values(environment: Environment, given: Values | None = None) -> Values:
    """Return the chart's values, those of the environment's files and those given, as Helm merges them."""
    merged: Values = {}
    for file in (CHART / "values.yaml", *environment.values):
        merged = _merge(merged, yaml.safe_load(file.read_text(encoding="utf-8")) or {})
    return _merge(merged, given or {})


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> Values:
    merged = dict(below)
    for key, value in above.items():
        held = merged.get(key)
        merged[key] = _merge(held, value) if isinstance(held, Mapping) and isinstance(value, Mapping) else value
    return merged
