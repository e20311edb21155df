"""A web process in this one: the worker class in a thread, before a service that says what reached it."""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.config import Config

from tests.support.eventually import eventually
from timerproject.web import channel, server
from timerproject.web.worker import BufferingWorker


class Clock:
    """What the connections take for the time; real but for what is added."""

    def __init__(self) -> None:
        self.added = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.added

    def time(self) -> float:
        return time.time() + self.added

    def advance(self, seconds: float) -> None:
        self.added += seconds


def echo(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer what came; `/large?n` answers n bytes."""
    body = environ["wsgi.input"].read()
    if environ["PATH_INFO"] == "/large":
        answer = b"x" * int(environ["QUERY_STRING"])
    else:
        said = {name: value for name, value in environ.items() if isinstance(value, str)}
        answer = json.dumps({**said, "body": body.decode("latin-1")}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
    return [answer]


class Site:
    """The address of a web process, and connections to it."""

    def __init__(self, address: Any, worker: Any, clock: Clock) -> None:
        self.address, self.worker, self.clock = address, worker, clock

    @contextmanager
    def connected(self, text: str = "") -> Iterator[socket.socket]:
        with socket.socket(socket.AF_UNIX if isinstance(self.address, str) else socket.AF_INET) as connection:
            connection.settimeout(20)
            connection.connect(self.address)
            connection.sendall(text.encode("latin-1"))
            yield connection

    def answer(self, text: str) -> bytes:
        """All that is answered to this until the server closes the connection."""
        with self.connected(text) as connection:
            return read_all(connection)

    def wait_until_buffered(self) -> None:
        """Wait until the threads have ended all answers: what is not sent yet is in the server's buffers."""
        eventually(lambda: not any(channel.requests for channel in self._channels()))

    def maintain(self) -> None:
        """Have the server look at once for connections that are late."""
        for socket_server in self.worker._servers:
            socket_server.next_channel_cleanup = 0
        self.answer("GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")

    def _channels(self) -> list[Any]:
        return [channel for server in self.worker._servers for channel in list(server.active_channels.values())]

    def environ(self, text: str) -> dict[str, str]:
        """What the service is given for this request; the connection must be closed by its answer."""
        found: dict[str, str] = json.loads(self.answer(text).partition(b"\r\n\r\n")[2])
        return found


def read_all(connection: socket.socket) -> bytes:
    """What comes until the connection is closed."""
    answer = b""
    while chunk := connection.recv(65536):
        answer += chunk
    return answer


@contextmanager
def site(clock: Clock, listener: socket.socket, **settings: Any) -> Iterator[Site]:
    """A web process with these settings of gunicorn until the block is left."""
    config = Config()
    for name, value in {"threads": 2, "keepalive": 75, "graceful_timeout": 5, **settings}.items():
        config.set(name, value)
    log = SimpleNamespace(
        access_log_enabled=bool(settings.get("accesslog")), access=lambda *given: logged.append(given)
    )
    logged: list[Any] = []
    listener.setblocking(False)
    app = SimpleNamespace(wsgi=lambda: echo)
    worker = BufferingWorker(0, os.getppid(), [SimpleNamespace(sock=listener)], app, 30, config, log)
    worker.load_wsgi()
    worker.logged = logged
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    try:
        yield Site(listener.getsockname(), worker, clock)
    finally:
        worker.handle_exit(15, None)
        thread.join(10)
        assert not thread.is_alive(), "stopped"
        logging.getLogger("waitress.queue").setLevel(logging.NOTSET)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(channel, "time", clock)
    monkeypatch.setattr(server, "time", clock)
    return clock


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        yield listener


@pytest.fixture
def web(clock: Clock, listener: socket.socket) -> Iterator[Site]:
    with site(clock, listener) as made:
        yield made
