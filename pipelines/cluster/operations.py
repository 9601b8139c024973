"""A pod in the installation in which a command of a person works: with its addresses, its secrets and its rights.

In: an environment. Out: a pod made from the chart's PodTemplate `tidemill-operations`, in which `tidemill` and other
programs run until the end of the block. Called by every command with `--env`. The pod has the image of the
installation, so that a command reads its tables with the code that wrote them; no service must be up for it.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from components.base.errors import PermanentError, StepFailedError
from pipelines.cluster.environment import Environment, load_environment
from pipelines.cluster.kubectl import Kubectl, find_program

_TEMPLATE = "tidemill-operations"
_START_SECONDS = 180


@dataclass(frozen=True)
class OperationsPod:
    """A running pod of the installation."""

    kubectl: Kubectl
    name: str

    def run(self, *words: str, stdin: bytes | IO[bytes] | None = None, stdout: IO[bytes] | None = None) -> str:
        """Run a program in the pod and return what it printed, with the errors of `Kubectl.run`."""
        given = ("--stdin",) if stdin is not None else ()
        return self.kubectl.run("exec", self.name, "--quiet", *given, "--", *words, stdin=stdin, stdout=stdout)

    def show(self, *words: str) -> int:
        """Run a program in the pod on this terminal and return its exit code."""
        terminal = ("--stdin", "--tty") if sys.stdin.isatty() and sys.stdout.isatty() else ()
        place = ("--namespace", self.kubectl.namespace)
        return subprocess.run(
            [find_program("kubectl"), *place, "exec", self.name, "--quiet", *terminal, "--", *words], check=False
        ).returncode


@contextmanager
def open_operations(environment: Environment) -> Iterator[OperationsPod]:
    """Make the pod, and delete it at the end of the block.

    Raises:
        PermanentError: nothing is installed there, or the pod does not start, with its reasons.
    """
    kubectl = Kubectl(environment.namespace)
    found = kubectl.read("podtemplate", _TEMPLATE)
    if not found:
        raise PermanentError(
            f"environment {environment.name}: it must be installed in the namespace {environment.namespace}, but is "
            f"not. Run `make deploy ENV={environment.name}`."
        )
    template = found[0]["template"]
    metadata = {"generateName": f"{_TEMPLATE}-", "labels": template["metadata"]["labels"]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
    name = kubectl.create(pod).removeprefix("pod/")
    try:
        try:
            kubectl.run("wait", "pod", name, "--for=condition=Ready", f"--timeout={_START_SECONDS}s")
        except PermanentError as error:
            from components.base.adapters.kubernetes import Kubernetes

            reasons = Kubernetes(environment.namespace).explain_pods({"app.kubernetes.io/component": "operations"})
            raise PermanentError(f"{error} {reasons}") from error
        yield OperationsPod(kubectl, name)
    finally:
        kubectl.run("delete", "pod", name, "--wait=false", "--ignore-not-found")


def run_inside(environment_name: str, words: Sequence[str]) -> None:
    """Run one command of `tidemill` in an installation, on this terminal.

    Raises:
        StepFailedError: it ended with an error, which the terminal shows already.
        PermanentError: as of `load_environment` and `open_operations`.
    """
    with open_operations(load_environment(environment_name)) as pod:
        code = pod.show("tidemill", *words)
    if code != 0:
        raise StepFailedError(f"tidemill {words[0]} in {environment_name}: it must succeed, but ended with {code}.")
