"""Run Debian's Redis on a free port of loopback, without a file on disk."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from redis import ConnectionError as RedisConnectionError
from redis import Redis

from tests.contracts.running_prometheus import HOST, free_port
from tests.debian_programs import find_program


@contextlib.contextmanager
def running_redis(folder: Path, password: str = "") -> Iterator[str]:
    """Run a server, give its URL, and end it at the end of the block."""
    port = free_port()
    options = {"bind": HOST, "port": str(port), "save": "", "appendonly": "no", "dir": str(folder)}
    if password:
        options["requirepass"] = password
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    with (folder / "redis.log").open("w") as log:
        process = subprocess.Popen([find_program("redis-server"), *arguments], stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait_ready(port, password)
            yield f"redis://{f':{password}@' if password else ''}{HOST}:{port}/0"
        finally:
            process.terminate()
            process.wait(10)


def _wait_ready(port: int, password: str) -> None:
    with Redis(HOST, port, password=password or None) as client:
        for _ in range(100):
            with contextlib.suppress(RedisConnectionError):
                client.ping()
                return
            time.sleep(0.1)
    raise AssertionError("redis-server must answer within 10 s")
