"""Two hundred slow senders and readers beside normal requests, to the real service."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import Final

import pytest

from tests.cluster.field import Field
from tests.cluster.web import Web, serving

pytestmark = pytest.mark.cluster

MANY: Final = 200
HEAD: Final = "Host: localhost\r\nContent-Type: application/json\r\n"
STARTS: Final = (
    "",
    "P",
    f"POST /api/v1/groups HTTP/1.1\r\n{HEAD}",
    f"POST /api/v1/groups HTTP/1.1\r\n{HEAD}Content-Length: 1000\r\n\r\n",
    f"POST /login/ HTTP/1.1\r\n{HEAD}Content-Length: 1000\r\n\r\n" + "x" * 500,
    f"POST /api/v1/groups/g/timers/bulk HTTP/1.1\r\n{HEAD}Transfer-Encoding: chunked\r\n\r\n100\r\nabc",
)


def test_slow_senders_and_readers_keep_nobody_waiting(field: Field) -> None:
    with serving(field) as web, ExitStack() as stack:
        for number in range(MANY):
            sender = stack.enter_context(web.raw())
            sender.sendall(STARTS[number % len(STARTS)].encode())
        for _ in range(MANY):
            stack.enter_context(_slow_reader(web))
        with web.raw() as connection:
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        for number in range(10):
            group = {"name": f"g{number}", "action": {"kind": "pull"}}
            assert web.ask("POST", "/groups", group)[0] == 201


def _slow_reader(web: Web) -> socket.socket:
    """Asks for a large answer and takes none of it."""
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    reader.connect(("127.0.0.1", web.port))
    head = f"Host: localhost\r\nAuthorization: Bearer {web.key}\r\n\r\n"
    reader.sendall(f"GET /api/v1/openapi.json HTTP/1.1\r\n{head}".encode())
    return reader
