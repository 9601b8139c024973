"""Install the upstream parts that an environment needs: in order, each ready before the next, what is there left alone.

In: an environment's parts and a cluster. Out: one line a part. Called by `tidemill platform`. What is there is never
changed, whoever installed it: only the caller's word applies a part again. An interrupted installation is repeated.
"""

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from components.base.adapters.kubernetes import Kubernetes
from components.base.errors import PermanentError, TransientError
from pipelines.cluster.environment import ROOT
from pipelines.cluster.kubectl import find_program
from pipelines.cluster.parts import PLATFORM, Part, Presence, Step, find_deployment, look_for

Say = Callable[[str], None]
_POLL_SECONDS = 2.0


@dataclass(frozen=True)
class Installer:
    """How parts are installed on one cluster."""

    cluster: Kubernetes
    """All of it."""
    say: Say
    """Takes each line as soon as it is known."""
    again: bool = False
    """Whether parts that are there are applied again: an interrupted one, or one that changes its version."""
    is_plan: bool = False
    """Whether nothing is changed."""
    timeout_seconds: float = 600.0
    """For each part, until it is ready; images are pulled in it."""

    def install(self, parts: Sequence[Part]) -> int:
        """Install the parts that are missing, and return how many.

        Raises:
            PermanentError: a program is missing, refuses, or a Deployment does not become available; with the reason.
        """
        found = {part.name: look_for(part, self.cluster) for part in parts}
        installed = 0
        for part in parts:
            label = f"{part.name:<15} {part.version:<8}"
            is_served = part.only_for in found and not found[part.only_for].missing
            if not found[part.name].missing and not self.again:
                self.say(f"{label} is there{_describe(found[part.name])}")
            elif is_served and not self.again:
                self.say(f"{label} is not needed: {part.only_for} is there")
            elif self.is_plan:
                installed += 1
                self.say(f"{label} would be installed: {part.purpose}")
                for step in part.steps:
                    self.say(f"  {' '.join(self._write_command(part, step))}")
            else:
                installed += 1
                self._install_part(part, label)
        return installed

    def _install_part(self, part: Part, label: str) -> None:
        start = time.monotonic()
        for step in part.steps:
            command = self._write_command(part, step)
            self.say(f"{label} {' '.join(command)}")
            _run(part, command)
            # A kind can be used only some time after it was made, and the next step may use it.
            _run(part, ["kubectl", "wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"])
        self._wait(part, start + self.timeout_seconds)
        self.say(f"{label} is ready after {time.monotonic() - start:.0f} s")

    def _wait(self, part: Part, deadline: float) -> None:
        while True:
            found = look_for(part, self.cluster)
            waiting = [*found.missing, *(f"Deployment {name}" for name in (*found.absent, *found.late))]
            if not waiting:
                return
            if time.monotonic() > deadline:
                reasons = " ".join(self._explain(name) for name in found.late)
                raise TransientError(
                    f"platform {part.name}: it must be ready within {self.timeout_seconds:.0f} seconds, but waits for "
                    f"{', '.join(waiting)}. {reasons} Run again with --part {part.name} --again."
                )
            time.sleep(_POLL_SECONDS)

    def _explain(self, name: str) -> str:
        deployment = find_deployment(name, self.cluster) or {"spec": {"selector": {}}}
        return Kubernetes(name.partition("/")[0]).explain_pods(deployment["spec"]["selector"].get("matchLabels", {}))

    def _write_command(self, part: Part, step: Step) -> list[str]:
        folder = PLATFORM.relative_to(ROOT)
        if step.folder:
            return ["kubectl", "apply", "--server-side", "--kustomize", str(folder / step.folder)]
        values = ["--values", str(folder / step.values)] if step.values else []
        place = ["--namespace", step.namespace, "--create-namespace"]
        waiting = ["--wait", "--timeout", f"{self.timeout_seconds:.0f}s"]
        chart = step.chart.format(version=part.version)
        return ["helm", "upgrade", "--install", step.release, chart, *place, *values, *waiting]


def _run(part: Part, command: Sequence[str]) -> None:
    done = subprocess.run(
        [find_program(command[0]), *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise PermanentError(
            f"platform {part.name}: `{' '.join(command[:3])}` must succeed, but got: {done.stderr.strip()[-1000:]} "
            "Correct it and run again: what is installed stays."
        )


def _describe(found: Presence) -> str:
    """Say what a part that is there has, and what of it is not as this command would have made it."""
    if found.late:
        return f", but {', '.join(found.late)} is not available"
    if found.absent:
        others = ", ".join(found.absent)
        return f", but not {others}: made by other means, or interrupted (--again applies the part)"
    return f": {found.words}" if found.words else ""
