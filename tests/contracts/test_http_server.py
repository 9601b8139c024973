"""The server under every service of the platform, against clients that hold connections, and when it is ended."""

import http.client
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from components.base.adapters import uvicorn

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60
HEAD = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 500\r\n"
WHOLE = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


async def page(request):
    return PlainTextResponse(f"read {len(await request.body())}")


@pytest.fixture
def port(monkeypatch) -> Iterator[int]:
    """A server that gives a request half a second, and 8 connections room."""
    monkeypatch.setattr(uvicorn, "REQUEST_SECONDS", 0.5)
    monkeypatch.setattr(uvicorn, "connection_limit", lambda: 8)
    app = Starlette(routes=[Route("/", page, methods=["GET", "POST"])])
    with uvicorn.open_listener("127.0.0.1", 0) as listener, uvicorn.serving_app(app, listener):
        yield listener.getsockname()[1]


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)


def read_all(client: socket.socket) -> bytes:
    """Return what comes until the server ends the connection."""
    parts = []
    try:
        while part := client.recv(2**16):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"GET / HTTP/1.1\r\nhost:", HEAD])
def test_a_connection_without_a_request_is_closed_without_a_word(port, sent):
    with connect(port) as client:
        client.sendall(sent)
        assert read_all(client) == b""


def test_half_a_request_is_answered_408_and_closed(port):
    with connect(port) as client:
        client.sendall(HEAD + b"\r\n{")
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in answer
    assert answer.endswith(b'{"error":"a request must arrive whole within 0.5 seconds, but did not."}')


@pytest.mark.parametrize("then", [b"GET / HT", b"\r\n", HEAD])
def test_half_a_request_after_a_whole_one_is_closed_too(port, then):
    with connect(port) as client:
        client.sendall(WHOLE + then)
        answer = read_all(client)
    assert answer.count(b"HTTP/1.1 200 ") == 1
    assert answer.endswith(b"read 0")


def test_a_probe_is_answered_while_all_connections_are_held_by_others(port, monkeypatch):
    monkeypatch.setattr(uvicorn, "REQUEST_SECONDS", PATIENCE_SECONDS)
    with ExitStack() as stack:
        silent = [stack.enter_context(connect(port)) for _ in range(20)]
        for client in silent[:10]:
            client.sendall(HEAD + b"\r\n{")
        for _ in range(20):
            assert httpx.get(f"http://127.0.0.1:{port}/", timeout=PATIENCE_SECONDS).status_code == 200
        # The oldest made room; a probe takes the place of one more.
        assert [read_all(client) for client in silent[:12]] == [b""] * 12


@contextmanager
def running(linger_seconds: int, descriptors: int) -> Iterator[tuple[str, subprocess.Popen]]:
    """A server as a process, with at most so many open files."""
    program = str(Path(__file__).with_name("http_process.py"))
    command = [sys.executable, program, str(linger_seconds), str(descriptors)]
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT) as process:
        try:
            yield process.stdout.readline().strip(), process
        finally:
            process.kill()


def test_a_process_with_few_descriptors_answers_beside_more_silent_connections_than_it_can_open():
    with running(1, descriptors=256) as (url, _), ExitStack() as stack:
        for _ in range(600):
            stack.enter_context(connect(int(url.rpartition(":")[2])))
        assert httpx.get(url, timeout=PATIENCE_SECONDS).text == "here"


def test_sigterm_under_load_resets_no_request_and_ends_each_connection_by_its_answer():
    with running(PATIENCE_SECONDS, descriptors=256) as (url, process), ThreadPoolExecutor(8) as pool:
        busy = threading.Barrier(9)
        clients = [pool.submit(ask_until_refused, url, busy) for _ in range(8)]
        busy.wait(PATIENCE_SECONDS)
        process.send_signal(signal.SIGTERM)
        outcomes = [client.result(PATIENCE_SECONDS) for client in clients]
        assert process.wait(PATIENCE_SECONDS) == -signal.SIGTERM
    for outcome in outcomes:
        assert set(outcome) == {"answered", "answered and closed", "refused"}
        assert (outcome["answered and closed"], outcome["refused"]) == (1, 1)


def ask_until_refused(url: str, busy: threading.Barrier) -> Counter[str]:
    """Ask on one connection without a pause, a new one when it was closed; what is no answer and no refusal raises."""
    outcomes: Counter[str] = Counter()
    client = http.client.HTTPConnection(url.removeprefix("http://"), timeout=PATIENCE_SECONDS)
    while not outcomes["refused"]:
        try:
            client.request("GET", "/")
        except ConnectionRefusedError:
            outcomes["refused"] += 1
            break
        answer = client.getresponse()
        assert answer.read() == b"here"
        outcomes["answered and closed" if answer.will_close else "answered"] += 1
        if outcomes["answered"] == 20:
            busy.wait(PATIENCE_SECONDS)
    client.close()
    return outcomes
