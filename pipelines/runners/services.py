"""What a cluster would have and one machine lacks: the services that the commands of one home share."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from components.base.adapters.seaweedfs import running_object_store
from components.base.settings import Settings

_ENVIRONMENT = {
    # OpenMP threads that wait must not keep a core from those that work: ten times slower on two busy cores.
    "OMP_WAIT_POLICY": "PASSIVE",
    # Services of this machine are never behind a proxy.
    "NO_PROXY": "127.0.0.1,localhost",
}


@contextmanager
def embedded_services(settings: Settings) -> Iterator[None]:
    """Run the object store and give every child process the environment that it needs.

    Raises:
        StoreUnavailableError: the object store did not start.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    before = dict(os.environ)
    with running_object_store(settings) as endpoint:
        os.environ.update(settings.with_store(endpoint).child_environment())
        os.environ.update(_ENVIRONMENT)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def find_free_port() -> int:
    """Return a port of loopback that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
