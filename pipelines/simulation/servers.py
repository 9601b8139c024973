"""Run a server of the simulation on loopback and wait until it answers.

In: a `ServerPlan`. Out: its process, ended when the block ends. Called by the loop for Prometheus, Alertmanager, the
exporter and the governor; a server that does not come up is an error that names its log.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from components.base.child_process import ChildPlan, OwnedProcess
from components.base.errors import EndpointUnavailableError

HOST = "127.0.0.1"
_ROOT = Path(__file__).parents[2]
_READY_SECONDS = 60.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.1
_LOG_LINES_SHOWN = 10


@dataclass(frozen=True)
class ServerPlan:
    """What to start, and how to see that it answers."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    port: int
    ready_path: str
    """Answers 200 when the server is ready."""
    log_path: Path

    @property
    def address(self) -> str:
        """`host:port`, as Prometheus names a target."""
        return f"{HOST}:{self.port}"


@contextmanager
def running_server(plan: ServerPlan) -> Iterator[OwnedProcess]:
    """Run the server until the end of the block.

    Raises:
        EndpointUnavailableError: it ended, or did not answer in time; with the end of its log.
    """
    plan.log_path.parent.mkdir(parents=True, exist_ok=True)
    with plan.log_path.open("ab") as log:
        process = OwnedProcess(ChildPlan(plan.command, plan.environment, _ROOT, log))
    try:
        _wait_ready(plan, process)
        yield process
    finally:
        process.stop(_STOP_SECONDS)


def _wait_ready(plan: ServerPlan, process: OwnedProcess) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline and process.is_running():
        try:
            if httpx.get(f"http://{plan.address}{plan.ready_path}", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(_POLL_SECONDS)
    last = plan.log_path.read_text(errors="replace").splitlines()[-_LOG_LINES_SHOWN:]
    raise EndpointUnavailableError(
        f"{plan.name}: it must be ready within {_READY_SECONDS:.0f} s, but is not. The end of {plan.log_path}:\n  "
        + "\n  ".join(last)
    )
