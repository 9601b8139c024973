"""Prove that a backup is worth something: restore it beside the installation, compare the two, and time it.

In: an environment. Out: a `Drill`. Called by `tidemill drill`. The installation itself is only read. Its backup becomes
an installation in a namespace of its own, from one folder and one file; what it holds and what its champions answer is
compared; and it is deleted with its volumes, also after an error.
"""

import json
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from components.base.errors import PermanentError
from pipelines.cluster.backup import back_up
from pipelines.cluster.deploy import plan_upgrade
from pipelines.cluster.environment import Environment
from pipelines.cluster.helm import Helm, Say, Values, merge_values
from pipelines.cluster.kubectl import Kubectl
from pipelines.cluster.restore import restore

# A person who waits for a restoration waits this long.
LIMIT_SECONDS = 600.0
_CLEANING_SECONDS = 300.0


@dataclass(frozen=True)
class Drill:
    """One drill."""

    differences: Sequence[str]
    backup_seconds: float
    restore_seconds: float

    @property
    def seconds(self) -> float:
        """Time of both."""
        return self.backup_seconds + self.restore_seconds

    @property
    def faults(self) -> list[str]:
        """What keeps it from being passed."""
        slow = f"backup and restore must take at most {LIMIT_SECONDS:.0f} seconds, but took {self.seconds:.0f}."
        return [*self.differences, *([slow] if self.seconds > LIMIT_SECONDS else [])]


def run_drill(environment: Environment, say: Say) -> Drill:
    """Back up, restore beside it, compare, delete.

    Raises:
        PermanentError: a store is external, or a part of it fails; what was made is deleted all the same.
    """
    check_embedded(merge_values(environment, Helm(environment).read_values()))
    namespace = f"{environment.namespace}-drill-{uuid.uuid4().hex[:6]}"
    beside = environment.model_copy(update={"namespace": namespace})
    _check_chart(environment)
    with tempfile.TemporaryDirectory() as scratch, _throw_away(beside, say):
        folder, secrets = Path(scratch) / "backup", Path(scratch) / "secrets.json"
        started = time.monotonic()
        say(f"Backing up {environment.name}.")
        back_up(environment, folder, secrets, say)
        kept = time.monotonic()
        say(f"Restoring into the namespace {namespace}.")
        differences = restore(beside, folder, secrets, say, is_drill=True)
        return Drill(differences, kept - started, time.monotonic() - kept)


def _check_chart(environment: Environment) -> None:
    """Return when this checkout has the chart that is installed: a newer one may not fit the image that is kept."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(Helm(environment).read_values(), file)
        file.flush()
        changes = plan_upgrade(Helm(environment, ("--values", file.name)))
    if changes:
        raise PermanentError(
            f"drill: this checkout must have the chart that is installed, but {len(changes)} objects differ, "
            f"{changes[0].name} for one. Check out its commit, or run `make upgrade ENV={environment.name}` first."
        )


@contextmanager
def _throw_away(environment: Environment, say: Say) -> Iterator[None]:
    """Delete the namespace and all that is in it at the end of the block."""
    try:
        yield
    finally:
        helm, kubectl = Helm(environment), Kubectl(environment.namespace)
        if helm.find():
            helm.uninstall(_CLEANING_SECONDS)
        kubectl.run("delete", "namespace", environment.namespace, "--ignore-not-found", "--wait=false")
        say(f"The namespace {environment.namespace} is deleted.")


def check_embedded(values: Values) -> None:
    """Return when every store is the installation's own.

    Raises:
        PermanentError: one is external: a copy of the installation would write into it.
    """
    external = [name for name in ("postgresql", "redis", "objectStore", "mlflow") if not values[name]["embedded"]]
    if external:
        raise PermanentError(
            f"drill: every store must be embedded, but {', '.join(external)} is external: the copy of the installation "
            "would write into it. Restore a backup into an environment with stores of its own."
        )


def check_drill(drill: Drill) -> None:
    """Return when the drill is passed.

    Raises:
        PermanentError: with each fault.
    """
    if drill.faults:
        raise PermanentError(
            "drill: the restored installation must be the one that was kept. " + " ".join(drill.faults)
        )
