"""Run kubectl in one namespace: what a person's kubeconfig reaches, with the person's rights.

In: words, and bytes for standard input. Out: what kubectl printed, or an error with its words. Called by the commands
that work on a cluster; processes inside it use `components/base/adapters/kubernetes.py`.
"""

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any

from components.base.errors import PermanentError

Object = dict[str, Any]
# kubectl itself waits without an end for an API server that does not answer.
_REQUEST_TIMEOUT = "--request-timeout=60s"


@dataclass(frozen=True)
class Kubectl:
    """One namespace."""

    namespace: str

    def run(self, *words: str, stdin: bytes | IO[bytes] | None = None, stdout: IO[bytes] | None = None) -> str:
        """Run kubectl and return what it printed, or write that to a file.

        Raises:
            PermanentError: kubectl is not there, or ended with an error, whose words it holds.
        """
        given: dict[str, Any] = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin or subprocess.DEVNULL}
        done = subprocess.run(
            [find_program("kubectl"), "--namespace", self.namespace, *words],
            stdout=stdout or subprocess.PIPE,
            stderr=subprocess.PIPE,
            check=False,
            **given,
        )
        if done.returncode != 0:
            raise PermanentError(
                f"kubectl {' '.join(words[:3])} in {self.namespace}: it must succeed, but got: "
                f"{done.stderr.decode(errors='replace').strip()[-1500:]}"
            )
        return (done.stdout or b"").decode(errors="replace")

    def read(self, *words: str) -> list[Object]:
        """Return the objects that `kubectl get` finds; none where the cluster does not know their kind.

        Raises:
            PermanentError: as of `run`.
        """
        try:
            found = self.run("get", *words, "--ignore-not-found", "--output=json", _REQUEST_TIMEOUT)
        except PermanentError as error:
            if "doesn't have a resource type" in str(error) or "could not find the requested resource" in str(error):
                return []
            raise
        content = json.loads(found) if found.strip() else {"items": []}
        return list(content.get("items", [content]))

    def create(self, manifest: Object) -> str:
        """Create an object and return its kind and name: `pod/tidemill-operations-x7k2p`."""
        return self.run("create", "--output=name", "--filename=-", stdin=json.dumps(manifest).encode()).strip()

    def apply(self, objects: Sequence[Object]) -> None:
        """Create or change objects; without the copy of their content that a plain apply leaves in an annotation."""
        if objects:
            listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
            self.run("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=listed.encode())


def find_program(name: str) -> str:
    """Return the path of a program.

    Raises:
        PermanentError: it is not installed.
    """
    path = shutil.which(name)
    if path is None:
        raise PermanentError(
            f"{name} must be on PATH, but is not. Install it; `tidemill doctor` lists what is missing."
        )
    return path
