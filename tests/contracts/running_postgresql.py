"""A real PostgreSQL on loopback, started as a user that is not root; without its programs the test is skipped."""

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def running_postgresql() -> Iterator[str]:
    """Run a server on loopback; give the URL to which a database's name is appended."""
    programs = _find_programs()
    folder = Path(tempfile.mkdtemp(prefix="tidemill-pg-"))
    data, user = folder / "data", []
    if os.geteuid() == 0:
        # PostgreSQL refuses to run as root.
        shutil.chown(folder, "postgres")
        user = ["runuser", "-u", "postgres", "--"]
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    _run([*user, programs / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--no-sync"], folder)
    _run([*user, programs / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start"], folder)
    yield f"postgresql+psycopg://postgres@127.0.0.1:{port}"
    _run([*user, programs / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop"], folder)
    shutil.rmtree(folder)


def _find_programs() -> Path:
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip("psycopg is not installed: pip install 'psycopg[binary]'")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    if not found:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql-15")
    return found[-1].parent


def _run(command: list, folder: Path) -> None:
    done = subprocess.run([str(word) for word in command], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout.decode()
