"""The life of the embedded server: each test starts a real SeaweedFS in a home of its own."""

import fcntl
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from components.base.adapters import seaweedfs as object_store
from components.base.adapters.s3 import ObjectStore, open_store
from components.base.adapters.seaweedfs import SeaweedFS, running_object_store
from components.base.errors import StoreRequestError, StoreUnavailableError
from components.base.settings import S3Endpoint, load_settings

REPOSITORY = Path(__file__).parents[3]
RUN = """
import os, time
from components.base.adapters.seaweedfs import SeaweedFS
from components.base.settings import load_settings
with SeaweedFS(load_settings()) as server:
    print(server.pid, flush=True)
    time.sleep(60)
"""


WRONG_PORTS = dict.fromkeys(object_store._LISTENERS, 99999)


@pytest.fixture
def home(tmp_path):
    return load_settings({"TIDEMILL_HOME": str(tmp_path / "home")})


def listeners(pid):
    return [link.laddr for link in psutil.Process(pid).connections() if link.status == psutil.CONN_LISTEN]


def is_gone(pid):
    """A killed orphan stays as a zombie until the machine's first process looks."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def start_run(home):
    """Start a process that uses the home's server for a minute; return it with the server's process id."""
    environment = {**os.environ, "TIDEMILL_HOME": str(home.home)}
    run = subprocess.Popen([sys.executable, "-c", RUN], cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE)
    return run, int(run.stdout.readline())


def kill(run):
    with run:
        run.kill()


def wait_until_gone(folder, seconds=60):
    """Wait until no server holds the folder."""
    deadline = time.monotonic() + seconds
    while (lock := object_store._take(folder / "lock", fcntl.LOCK_EX)) is None:
        assert time.monotonic() < deadline, "the server still runs"
        time.sleep(0.05)
    os.close(lock)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def once(server):
    """A client that tries once, so that a dead server is told at once."""
    return ObjectStore(server.endpoint, "tidemill", attempts=1)


def test_every_listener_is_on_loopback(seaweedfs):
    deadline = time.monotonic() + 10
    while len(listeners(seaweedfs.pid)) < 10 and time.monotonic() < deadline:
        time.sleep(0.05)
    found = listeners(seaweedfs.pid)
    assert {address.ip for address in found} == {"127.0.0.1"}
    assert {address.port for address in found} <= set(seaweedfs._ports.values())


@pytest.mark.parametrize("service", ["filer.port", "volume.port"])
def test_nobody_reads_past_s3_without_a_key(seaweedfs, service):
    once(seaweedfs).put_bytes("secret", b"content")
    with socket.create_connection(("127.0.0.1", seaweedfs._ports[service])) as stranger:
        stranger.sendall(b"GET /buckets/tidemill/secret HTTP/1.0\r\n\r\n")
        assert stranger.recv(64).split()[1] == b"401"


def test_the_server_is_small(seaweedfs):
    once(seaweedfs).put_bytes("x", b"content")
    assert psutil.Process(seaweedfs.pid).memory_info().rss < 400 * 2**20
    data = seaweedfs.log_path.parent / "data"
    assert sum(path.stat().st_blocks * 512 for path in data.rglob("*") if path.is_file()) < 64 * 2**20


def test_no_report_leaves_the_machine(seaweedfs):
    assert "-master.telemetry=false" in psutil.Process(seaweedfs.pid).cmdline()


def test_credentials_and_data_outlive_the_run_and_nothing_else_does(home):
    folder = home.object_store_folder
    with SeaweedFS(home) as server:
        pid, ports, first = server.pid, set(server._ports.values()), server.endpoint
        once(server).put_bytes("kept", b"content")
        assert str(first.secret_key) not in " ".join(psutil.Process(pid).cmdline())
    assert (mode(folder), mode(folder / "credentials.json")) == (0o700, 0o600)
    assert not psutil.pid_exists(pid)
    assert [path for path in Path("/tmp").glob("seaweedfs-*.sock") if int(path.stem.split("-")[-1]) in ports] == []
    # Other ports, as if a stranger had taken the first.
    (folder / "ports.json").unlink()
    with running_object_store(home) as endpoint:
        assert (endpoint.access_key, endpoint.secret_key) == (first.access_key, first.secret_key)
        store = open_store(home.with_store(endpoint))
        store.put_bytes("new", b"other")
        assert (store.get_bytes("kept"), store.get_bytes("new")) == (b"content", b"other")


def test_a_second_command_of_one_home_shares_the_server_and_the_last_ends_it(home):
    with SeaweedFS(home) as first:
        pid = first.pid
        with SeaweedFS(home) as second:
            assert (second.pid, second.endpoint) == (pid, first.endpoint)
            once(second).put_bytes("of-two", b"content")
        # The second has left: the server is the first's, and answers.
        assert once(first).get_bytes("of-two") == b"content"
        third = SeaweedFS(home)
        third.__enter__()
    # The one that started it has left: it is the third's.
    assert once(third).get_bytes("of-two") == b"content"
    third.stop()
    assert is_gone(pid)


def test_eight_commands_that_start_at_once_share_one_server(home):
    with ThreadPoolExecutor(8) as pool:
        servers = list(pool.map(lambda _: SeaweedFS(home).__enter__(), range(8)))
    assert len({server.pid for server in servers}) == 1
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda server: server.stop(), servers))
    wait_until_gone(servers[0].log_path.parent)


def test_the_server_outlives_the_kill_of_the_command_that_started_it_and_ends_with_the_last(home):
    starter, pid = start_run(home)
    sharer, shared = start_run(home)
    assert shared == pid
    kill(starter)
    with SeaweedFS(home) as server:
        assert server.pid == pid
        once(server).put_bytes("after-the-kill", b"content")
    assert not is_gone(pid)
    kill(sharer)
    wait_until_gone(home.object_store_folder)
    assert is_gone(pid)


def test_a_killed_server_is_told_and_the_next_start_has_the_data(home):
    content = os.urandom(5 * 2**20)
    with SeaweedFS(home) as server:
        store = once(server)
        store.put_bytes("large", content)
        for number in range(20):
            store.put_bytes(f"small/{number}", str(number).encode())
        os.kill(server.pid, signal.SIGKILL)
        words = f"put s3://tidemill/after: {server.endpoint.url} must answer, but got "
        with pytest.raises(StoreUnavailableError, match=re.escape(words)):
            store.put_bytes("after", b"")
    with SeaweedFS(home) as server:
        assert once(server).get_bytes("large") == content
        assert [store.get_bytes(f"small/{number}") for number in range(20)] == [b"%d" % n for n in range(20)]
        assert not once(server).exists("after")


def test_a_server_that_does_not_answer_is_named_with_what_to_do(home, monkeypatch):
    monkeypatch.setattr(object_store, "_START_SECONDS", 2.0)
    with SeaweedFS(home) as server:
        os.kill(server.pid, signal.SIGSTOP)
        try:
            with pytest.raises(StoreUnavailableError, match=rf"End it with `kill {server.pid}`"), SeaweedFS(home):
                pass
        finally:
            os.kill(server.pid, signal.SIGCONT)


def test_a_server_that_cannot_start_shows_its_last_words(home):
    blocked = home.object_store_folder / "data" / "filerldb2"
    blocked.parent.mkdir(parents=True)
    blocked.write_text("not a folder")
    log_path = home.object_store_folder / "weed.log"
    words = f"object store: SeaweedFS must start, but got its end. See {log_path}:\n"
    with pytest.raises(StoreUnavailableError, match=re.escape(words)), SeaweedFS(home):
        pass


def test_a_port_that_is_taken_before_its_use_is_replaced(home, monkeypatch):
    """Another program listens on the port of S3 from the moment in which it is chosen."""
    choose = object_store._choose_ports
    with socket.socket() as stranger:

        def choose_and_lose(path):
            ports = choose(path)
            if stranger.getsockname()[1] == 0:
                stranger.bind(("127.0.0.1", ports["s3.port"]))
                stranger.listen()
            return ports

        monkeypatch.setattr(object_store, "_choose_ports", choose_and_lose)
        with SeaweedFS(home) as server:
            assert server.endpoint.url != f"http://127.0.0.1:{stranger.getsockname()[1]}"
            once(server).put_bytes("a", b"1")


def test_a_taken_port_is_left_to_its_owner(tmp_path):
    kept = object_store._choose_ports(tmp_path / "ports.json")
    assert object_store._choose_ports(tmp_path / "ports.json") == kept
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", kept["s3.port"]))
        stranger.listen()
        chosen = object_store._choose_ports(tmp_path / "ports.json")
    assert kept["s3.port"] not in chosen.values()
    assert json.loads((tmp_path / "ports.json").read_text()) == chosen


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"s3.port": 4711}', json.dumps(WRONG_PORTS)])
def test_a_damaged_file_of_ports_is_written_anew(tmp_path, content):
    (tmp_path / "ports.json").write_text(content)
    chosen = object_store._choose_ports(tmp_path / "ports.json")
    assert len(set(chosen.values())) == 10


def test_another_service_is_used_as_it_is(home):
    other = S3Endpoint("http://s3.example", "key", "secret")
    with running_object_store(home.with_store(other)) as endpoint:
        assert endpoint == other
    assert not home.home.exists()


def test_a_child_that_is_given_the_homes_own_server_uses_it_in_its_own_right(home):
    with running_object_store(home) as endpoint:
        of_child = running_object_store(home.with_store(endpoint))
        assert of_child.__enter__() == endpoint
    store = open_store(home.with_store(endpoint))
    store.put_bytes("after-the-parent", b"content")
    of_child.__exit__(None, None, None)
    wait_until_gone(home.object_store_folder)


def test_the_service_reaches_a_child_through_its_environment(store, store_settings):
    store.put_bytes("x", b"content")
    read = (
        "from components.base.settings import load_settings; from components.base.adapters.s3 import open_store; "
        "print(open_store(load_settings()).get_bytes('x').decode())"
    )
    child = subprocess.run(
        [sys.executable, "-c", read],
        cwd=REPOSITORY,
        env=store_settings.child_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert child.stdout == "content\n"


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 160 MB; needs the right to mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only a user who may mount can fill a disk: run as root to see this test")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_told_and_nothing_that_was_put_is_lost(small_disk):
    settings = load_settings({"TIDEMILL_HOME": str(small_disk / "home")})
    ballast = small_disk / "ballast"
    with SeaweedFS(settings) as server:
        store = ObjectStore(server.endpoint, "tidemill", attempts=1, disk=small_disk)
        store.put_bytes("before", b"content")
        ballast.write_bytes(b"\0" * (140 * 2**20))
        with pytest.raises(StoreRequestError, match=r"the object store must have room, but got \d+ MB free in"):
            store.put_bytes("too-large", os.urandom(30 * 2**20))
        assert store.get_bytes("before") == b"content"
        assert not store.exists("too-large")
    with pytest.raises(StoreRequestError, match="the disk must have room, but got "), SeaweedFS(settings):
        pass
    ballast.unlink()
    with SeaweedFS(settings) as server:
        store = once(server)
        assert store.get_bytes("before") == b"content"
        store.put_bytes("too-large", os.urandom(30 * 2**20))
