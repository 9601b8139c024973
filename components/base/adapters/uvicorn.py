"""Serve an ASGI application over HTTP so that no client can hold it up: every server of the platform is this one.

In: an application and a listening socket. Out: answers, until a signal or the end of the block. Called by the
predictor, the governor, the exporter and the reports service. It adds to uvicorn what that does not have:

* a request arrives whole within `REQUEST_SECONDS`, else its connection is closed: with 408 if its head came, silently
  if not (a connection that never sends anything is one of these);
* at most `connection_limit()` connections are open; one more closes the one that has waited longest for a request, so
  that probes and callers are let in while a thousand connections idle;
* after a signal no connection is taken any more, and each answer carries `connection: close`, until no connection is
  left or `LINGER_SECONDS` are over. A server that closes idle connections at once resets the requests on their way.
"""

import asyncio
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# A body of a megabyte arrives in far less; what trickles in slower only holds a connection.
REQUEST_SECONDS = 10
# A client that has work for the server asks again within it, and learns that the connection ends.
LINGER_SECONDS = 3
# More than one process of one thread serves at a time.
_MAXIMUM_CONNECTIONS = 1024
_POLL_SECONDS = 0.05
_BACKLOG = 2048


def open_listener(host: str, port: int) -> socket.socket:
    """Listen on an address; port 0 takes a free one.

    Raises:
        OSError: the port is taken.
    """
    # The backlog of 100 that create_server takes would refuse a burst of requests.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)


def read_address(listener: socket.socket) -> str:
    """Return the URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve_app(
    app: Any,
    listener: socket.socket,
    *,
    grace_seconds: int,
    keep_alive_seconds: int = 5,
    shared: socket.socket | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, which is raised again once all is answered.

    Args:
        app: The ASGI application.
        listener: A socket that listens.
        grace_seconds: How long requests in flight are awaited after the time of lingering.
        keep_alive_seconds: How long a connection may wait for its next request.
        shared: One more socket that listens, of which other processes take connections too: what waits there at the end
            is theirs.
    """
    config = _configure(app, timeout_graceful_shutdown=grace_seconds, timeout_keep_alive=keep_alive_seconds)
    listeners = [listener] if shared is None else [listener, shared]
    _LingeringServer(config, LINGER_SECONDS, shared).run(sockets=listeners)


@contextmanager
def serving_app(app: Any, listener: socket.socket) -> Iterator[None]:
    """Serve in a thread of this process while the block runs."""
    server = _LingeringServer(_configure(app, timeout_graceful_shutdown=1), 0)
    thread = threading.Thread(target=server.run, args=([listener],), name="http-server", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


def connection_limit() -> int:
    """Return how many connections may be open: half of the file descriptors, at most 1024; the rest is for work."""
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return _MAXIMUM_CONNECTIONS if descriptors < 0 else min(_MAXIMUM_CONNECTIONS, descriptors // 2)


def _configure(app: Any, **options: Any) -> uvicorn.Config:
    return uvicorn.Config(app, http=_BoundedProtocol, ws="none", log_config=None, access_log=False, **options)


class _BoundedProtocol(HttpToolsProtocol):
    """A connection whose requests must be whole in time, and which knows how many others there are."""

    waiting_since = 0.0
    _deadline: asyncio.TimerHandle | None = None
    # Between the first byte of a request and its last.
    _is_arriving = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_request()
        if len(self.connections) > connection_limit():
            self._close_longest_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._deadline is None and (self._is_arriving or self._is_idle()):
            self._wait_for_request()

    def on_message_begin(self) -> None:
        self._is_arriving = True
        super().on_message_begin()

    def on_message_complete(self) -> None:
        self._is_arriving = False
        self._stop_waiting()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self.waiting_since = self.loop.time()
        super().on_response_complete()

    def timeout_keep_alive_handler(self) -> None:
        # Closing would wait for ever for a client that does not read its answer.
        self.transport.abort()

    def is_waiting(self) -> bool:
        """Return whether a request, or the rest of one, is awaited."""
        return self._deadline is not None or self._is_idle()

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _wait_for_request(self) -> None:
        self.waiting_since = self.loop.time()
        self._deadline = self.loop.call_later(REQUEST_SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        if self._is_idle() or self.cycle.response_started:
            self.transport.abort()
            return
        body = orjson.dumps({"error": f"a request must arrive whole within {REQUEST_SECONDS} seconds, but did not."})
        head = f"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        self.transport.write(f"{head}connection: close\r\n\r\n".encode() + body)
        self.transport.close()

    def _close_longest_waiting(self) -> None:
        """Close the connection that has waited longest; the newest if each other one is being answered."""
        waiting = [each for each in self.connections if isinstance(each, _BoundedProtocol) and each.is_waiting()]
        min(waiting, key=lambda each: each.waiting_since).transport.abort()


class _LingeringServer(uvicorn.Server):
    """A server that ends its connections by answers before it closes what is left."""

    def __init__(self, config: uvicorn.Config, linger_seconds: float, shared: socket.socket | None = None) -> None:
        super().__init__(config)
        self._linger_seconds = linger_seconds
        self._shared = shared

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listener in sockets or []:
            if listener is not self._shared:
                await self._stop_listening(listener)
        for server in self.servers:
            server.close()
        # The list that requests in flight hold, too.
        self.server_state.default_headers.append((b"connection", b"close"))
        until = time.monotonic() + self._linger_seconds
        while self.server_state.connections and time.monotonic() < until and not self.force_exit:
            await asyncio.sleep(_POLL_SECONDS)
        await super().shutdown(sockets)

    async def _stop_listening(self, listener: socket.socket) -> None:
        """Take the connections that wait in the kernel, which would be reset, and no more."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                break
            await loop.connect_accepted_socket(self._make_protocol, connection)
        # At once, where closing the server takes another turn of the loop.
        listener.shutdown(socket.SHUT_RDWR)

    def _make_protocol(self) -> _BoundedProtocol:
        return _BoundedProtocol(self.config, self.server_state, self.lifespan.state)
