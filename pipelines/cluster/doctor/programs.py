"""The programs that a person's commands call: kubectl and Helm."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator

from pipelines.cluster.doctor.check import Check

# Helm before reads no chart with files of 1 MB and has no `--dry-run=server`, which a plan needs.
HELM_OLDEST = (3, 14)
# Kubernetes supports a client that is one minor version older or newer than its server.
_SKEW = 1


def check_programs(server_minor: int | None) -> Iterator[Check]:
    """Look for kubectl and Helm; without the server's version, kubectl's own is not compared."""
    client = _read("kubectl", "version", "--client", "--output=json")
    if client is None:
        advice = "Install the kubectl of the cluster's version: https://kubernetes.io/docs/tasks/tools"
        yield Check("kubectl", "fault", "not on PATH", advice)
    else:
        version = json.loads(client)["clientVersion"]
        minor = int(re.sub(r"\D", "", version["minor"]))
        is_far = server_minor is not None and abs(minor - server_minor) > _SKEW
        advice = f"Install kubectl 1.{server_minor}: it supports servers one minor version away." if is_far else ""
        yield Check("kubectl", "warning" if is_far else "ok", version["gitVersion"], advice)
    helm = _read("helm", "version", "--template={{.Version}}")
    found = re.match(r"v(\d+)\.(\d+)", helm or "")
    advice = f"Install Helm {HELM_OLDEST[0]}.{HELM_OLDEST[1]} or newer: https://helm.sh/docs/intro/install"
    if helm is None:
        yield Check("helm", "fault", "not on PATH", advice)
    elif found is None or (int(found[1]), int(found[2])) < HELM_OLDEST:
        yield Check("helm", "fault", helm, advice)
    else:
        yield Check("helm", "ok", helm)


def _read(*command: str) -> str | None:
    """Return what a program prints; None where it is not installed or does not work."""
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None
