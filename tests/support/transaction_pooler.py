"""A pooler in transaction mode, as small as it can be: clients share sessions from one transaction to the next."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from queue import LifoQueue
from typing import Any, Self

FAKE_KEY = b"K" + struct.pack("!iii", 12, 999_999, 42)
READY = b"Z" + struct.pack("!ic", 5, b"I")


class TransactionPooler:
    """Listens on a port of this host; each server session is of the user and database that the first client named."""

    def __init__(self, server: str, sessions: int = 2) -> None:
        """`server`: the path of PostgreSQL's socket; `sessions`: how many all clients share."""
        self._server = server
        self._count = sessions
        self._idle: LifoQueue[_ServerSession] = LifoQueue()
        self._all: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        for each in [self._listener, *self._all]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._all.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError, EOFError, struct.error):
            greeting = self._open(client)
            client.sendall(b"R" + struct.pack("!ii", 8, 0) + greeting + FAKE_KEY + READY)
            held: _ServerSession | None = None
            try:
                while True:
                    kind, message = _message(client)
                    if kind == b"X":
                        return
                    held = held or self._idle.get(timeout=20)
                    held.socket.sendall(message)
                    # A request is complete with a simple query or a Sync; then the server says how the session stands.
                    if kind in (b"Q", b"S") and held.pass_answer(client):
                        self._idle.put(held)
                        held = None
            finally:
                if held is not None:
                    held.socket.close()

    def _open(self, client: socket.socket) -> bytes:
        """Read what the client starts with, and return the server's parameters."""
        while True:
            (length,) = struct.unpack("!i", _exactly(client, 4))
            body = _exactly(client, length - 4)
            if struct.unpack("!i", body[:4])[0] >> 16 != 1234:
                break
            client.sendall(b"N")  # neither TLS nor GSS
        named = body[4:].split(b"\0")
        names = dict(zip(named[::2], named[1::2], strict=False))
        with self._lock:
            while self._count:
                self._count -= 1
                session = _ServerSession(self._server, names[b"user"], names[b"database"])
                self._greeting = session.greeting
                self._all.append(session.socket)
                self._idle.put(session)
        return self._greeting


class _ServerSession:
    def __init__(self, path: str, user: bytes, database: bytes) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        body = struct.pack("!i", 3 << 16) + b"user\0" + user + b"\0database\0" + database + b"\0\0"
        self.socket.sendall(struct.pack("!i", len(body) + 4) + body)
        self.greeting = b""
        while True:
            kind, message = _message(self.socket)
            if kind == b"S":
                self.greeting += message
            if kind == b"Z":
                return

    def pass_answer(self, client: socket.socket) -> bool:
        """Hand an answer over up to ReadyForQuery; returns whether the session is outside of a transaction."""
        while True:
            kind, message = _message(self.socket)
            client.sendall(message)
            if kind == b"Z":
                return message[-1:] == b"I"


def _message(source: socket.socket) -> tuple[bytes, bytes]:
    kind = _exactly(source, 1)
    length = _exactly(source, 4)
    return kind, kind + length + _exactly(source, struct.unpack("!i", length)[0] - 4)


def _exactly(source: socket.socket, count: int) -> bytes:
    parts: list[Any] = []
    while count:
        part = source.recv(count)
        if not part:
            raise EOFError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
