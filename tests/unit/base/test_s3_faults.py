"""What the adapter says when a service answers badly; the services here are real sockets with one canned answer."""

import re
import shutil
import socket
from collections import namedtuple
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from components.base.adapters import s3_faults as store_faults
from components.base.adapters.s3 import ObjectStore, open_store
from components.base.errors import (
    SettingsError,
    StoreRequestError,
    StoreUnavailableError,
)
from components.base.settings import S3Endpoint, load_settings

Usage = namedtuple("Usage", "total used free")


class Service(ThreadingHTTPServer):
    """Answers every request alike."""

    def __init__(self, status, headers, body):
        handler = type("Handler", (CannedAnswer,), {"answer": (status, headers, body)})
        super().__init__(("127.0.0.1", 0), handler)
        self.requests = 0


class CannedAnswer(BaseHTTPRequestHandler):
    answer = (200, {}, b"")

    def respond(self):
        status, headers, body = self.answer
        self.server.requests += 1
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "Connection": "close", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    do_GET = do_PUT = do_HEAD = do_DELETE = respond

    def log_message(self, *parts):
        pass


@pytest.fixture
def serve():
    running = []

    def start(status, body=b"", **headers):
        service = Service(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)
        Thread(target=service.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        running.append(service)
        return service

    yield start
    for service in running:
        service.shutdown()
        service.server_close()


def store_at(service, **options):
    url = "http://{}:{}".format(*service.server_address)
    return ObjectStore(S3Endpoint(url, "key", "secret"), "tidemill", **{"attempts": 1, **options})


def refusal(code):
    return f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()


def test_a_dead_service_is_named_with_what_to_do():
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        dead = ObjectStore(S3Endpoint(url, "key", "secret"), "tidemill", attempts=1)
        with pytest.raises(StoreUnavailableError) as silence:
            dead.put_bytes("a", b"")
    assert str(silence.value).startswith(f"put s3://tidemill/a: {url} must answer, but got EndpointConnectionError")
    assert str(silence.value).endswith(
        "in 1 attempts. Start the object store or correct TIDEMILL_S3_ENDPOINT, then run again."
    )


@pytest.mark.parametrize(("status", "code"), [(503, "SlowDown"), (500, "InternalError"), (429, "TooManyRequests")])
def test_a_busy_service_is_transient(serve, status, code):
    store = store_at(serve(status, refusal(code)))
    with pytest.raises(
        StoreUnavailableError, match=re.escape(f"must do it, but got {status} {code} in 1 attempts. Read its log, then")
    ):
        store.put_bytes("a", b"")


def test_an_object_that_stays_unreadable_is_told_with_what_to_do(serve, tmp_path):
    """SeaweedFS answers 500 when the copy on its disk is cut or damaged."""
    store = store_at(serve(500, refusal("InternalError")), disk=tmp_path)
    words = (
        f"500 InternalError in 1 attempts. Read its log ({tmp_path}/weed.log), then run again. "
        "If it stays so, delete the object and run the step that writes it again."
    )
    with pytest.raises(StoreUnavailableError, match=re.escape(words)):
        store.get_bytes("a")


def test_what_is_transient_is_tried_again(serve):
    service = serve(503, refusal("SlowDown"))
    with pytest.raises(StoreUnavailableError, match=re.escape("503 SlowDown in 2 attempts")):
        store_at(service, attempts=2).get_bytes("a")
    assert service.requests == 2


def test_what_is_permanent_is_not_tried_again(serve):
    service = serve(400, refusal("InvalidRequest"))
    with pytest.raises(StoreRequestError, match=re.escape("must accept it, but got 400 InvalidRequest.")):
        store_at(service, attempts=3).put_bytes("a", b"")
    assert service.requests == 1


@pytest.mark.parametrize(("status", "code"), [(507, "InsufficientStorage"), (507, "XMinioStorageFull")])
def test_a_full_service_is_permanent(serve, status, code):
    store = store_at(serve(status, refusal(code)))
    words = f"put s3://tidemill/a: the object store must have room, but got {code}. What was put before is kept."
    with pytest.raises(StoreRequestError, match=re.escape(words)):
        store.put_bytes("a", b"")


def test_a_server_error_on_a_full_disk_is_told_as_such(serve, monkeypatch, tmp_path):
    monkeypatch.setattr(store_faults.shutil, "disk_usage", lambda folder: Usage(100 * 2**30, 0, 2**30))
    store = store_at(serve(500, refusal("InternalError")), disk=tmp_path)
    words = f"the object store must have room, but got 1,024 MB free in {tmp_path}."
    with pytest.raises(StoreRequestError, match=re.escape(words)):
        store.put_bytes("a", b"")


def test_a_server_error_with_room_on_the_disk_is_transient(serve, monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(100 * 2**30, 0, 2 * 2**30))
    with pytest.raises(StoreUnavailableError, match="500 InternalError"):
        store_at(serve(500, refusal("InternalError")), disk=tmp_path).put_bytes("a", b"")


def test_a_truncated_answer_is_told_and_leaves_no_file(serve, tmp_path):
    store = store_at(serve(200, b"0123456789", Content_Length="100", ETag='"x"'))
    with pytest.raises(StoreUnavailableError, match=re.escape("get s3://tidemill/a: http://127.0.0.1")):
        store.get_bytes("a")
    with pytest.raises(StoreUnavailableError, match=re.escape("get s3://tidemill/a: http://127.0.0.1")):
        store.get_file("a", tmp_path / "a.parquet")
    assert list(tmp_path.iterdir()) == []


def test_content_that_breaks_its_checksum_is_told_and_leaves_no_file(serve, tmp_path):
    service = serve(200, b"0123456789", ETag='"x"', x_amz_checksum_crc32="AAAAAA==")
    words = "get s3://tidemill/a: the content must match its checksum, but got "
    for read in (lambda s: s.get_bytes("a"), lambda s: s.get_file("a", tmp_path / "a.parquet")):
        with pytest.raises(StoreRequestError, match=re.escape(words)):
            read(store_at(service))
    assert list(tmp_path.iterdir()) == []


def test_a_proxy_of_the_environment_does_not_see_a_service_on_this_machine(serve, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert store_at(serve(200, b"content", ETag='"x"')).get_bytes("a") == b"content"


def test_a_full_disk_of_this_machine_is_told_when_reading(serve):
    store = store_at(serve(200, b"content", ETag='"x"'))
    words = "get s3://tidemill/a: [Errno 28] No space left on device. Free disk space."
    with pytest.raises(StoreRequestError, match=re.escape(words)), store._request("get", "a"):
        Path("/dev/full").write_text("x")


def test_open_store_needs_an_endpoint(tmp_path):
    words = "settings: TIDEMILL_S3_ENDPOINT must be set, but it is not. Set it, or run inside"
    with pytest.raises(SettingsError, match=re.escape(words)):
        open_store(load_settings({"TIDEMILL_HOME": str(tmp_path)}))
