"""A pooler in transaction mode, as small as it can be: clients share sessions from one transaction to the next.

As PgBouncer does, it gives each client back the settings that the server reports (TimeZone, DateStyle and so on), and
has a client wait while all sessions are in others' transactions.
"""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from queue import Empty, LifoQueue
from typing import Any, Final, Self

FAKE_KEY = b"K" + struct.pack("!iii", 12, 999_999, 42)
READY = b"Z" + struct.pack("!ic", 5, b"I")
GIVEN_BACK: Final = (b"client_encoding", b"DateStyle", b"TimeZone", b"standard_conforming_strings", b"application_name")
"""Settings of which each client has its own; others stay in the session."""
PATIENCE: Final = 20.0
"""Seconds that a client waits for a session."""


class TransactionPooler:
    """Listens on a port of this host; each server session is of the user and database that the first client named."""

    def __init__(self, server: str, sessions: int = 2) -> None:
        """`server`: the path of PostgreSQL's socket; `sessions`: how many all clients share."""
        self._server = server
        self._count = sessions
        self._idle: LifoQueue[_ServerSession] = LifoQueue()
        self._all: list[socket.socket] = []
        self._lock = threading.Lock()
        self._is_open = True
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._is_open = False
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
        with client, suppress(OSError, EOFError, struct.error, Empty):
            settings = self._open(client)
            greeting = b"".join(_reported(name, value) for name, value in settings.items())
            client.sendall(b"R" + struct.pack("!ii", 8, 0) + greeting + FAKE_KEY + READY)
            held: _ServerSession | None = None
            try:
                while True:
                    kind, message = _message(client)
                    if kind == b"X":
                        return
                    if held is None:
                        held = self._idle.get(timeout=PATIENCE)
                        held.give_back(settings)
                    held.socket.sendall(message)
                    # A request is complete with a simple query or a Sync; then the server says how the session stands.
                    if kind in (b"Q", b"S") and held.pass_answer(client, settings):
                        self._idle.put(held)
                        held = None
            finally:
                if held is not None:
                    # Whatever is open in it ends with it.
                    held.socket.close()
                    with self._lock:
                        if self._is_open:
                            self._add(held.again())

    def _open(self, client: socket.socket) -> dict[bytes, bytes]:
        """Read what the client starts with, and return the settings that it has from then on."""
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
                self._initial = dict(session.settings)
                self._add(session)
        return self._initial | {name: value for name, value in names.items() if name in GIVEN_BACK}

    def _add(self, session: _ServerSession) -> None:
        self._all.append(session.socket)
        self._idle.put(session)


class _ServerSession:
    def __init__(self, path: str, user: bytes, database: bytes) -> None:
        self._named = path, user, database
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        body = struct.pack("!i", 3 << 16) + b"user\0" + user + b"\0database\0" + database + b"\0\0"
        self.socket.sendall(struct.pack("!i", len(body) + 4) + body)
        self.settings: dict[bytes, bytes] = {}
        self._read_until_ready()

    def again(self) -> _ServerSession:
        """Another session in its place."""
        return _ServerSession(*self._named)

    def give_back(self, settings: dict[bytes, bytes]) -> None:
        """Set what the client had in the session that it was in before."""
        changed = [name for name in GIVEN_BACK if name in settings and settings[name] != self.settings.get(name)]
        if changed:
            statements = b"".join(b"SET %s = '%s';" % (name, settings[name]) for name in changed) + b"\0"
            self.socket.sendall(b"Q" + struct.pack("!i", len(statements) + 4) + statements)
            self._read_until_ready()

    def pass_answer(self, client: socket.socket, settings: dict[bytes, bytes]) -> bool:
        """Hand an answer over up to ReadyForQuery; returns whether the session is outside of a transaction."""
        while True:
            kind, message = _message(self.socket)
            if kind == b"S":
                self._note(message)
                settings.update(self.settings)
            client.sendall(message)
            if kind == b"Z":
                return message[-1:] == b"I"

    def _read_until_ready(self) -> None:
        kind = b""
        while kind != b"Z":
            kind, message = _message(self.socket)
            if kind == b"S":
                self._note(message)

    def _note(self, message: bytes) -> None:
        name, value, _ = message[5:].split(b"\0")
        self.settings[name] = value


def _reported(name: bytes, value: bytes) -> bytes:
    body = name + b"\0" + value + b"\0"
    return b"S" + struct.pack("!i", len(body) + 4) + body


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
