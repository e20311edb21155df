"""Targets: servers on this host that answer as a test says, well or badly, and note what came."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Received:
    """A request as it came over the wire."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The header of that name; it must not be there twice."""
        found = [value for given, value in self.headers if given.lower() == name.lower()]
        assert len(found) <= 1, f"{name} came {len(found)} times"
        return found[0] if found else None


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Answer = Callable[[Received, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Target:
    """A server that runs, and what it has seen."""

    port: int
    scheme: str = "http"
    connections: int = 0
    requests: list[Received] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/hook"


def plain(status: str = "200 OK", body: bytes = b"ok", **headers: str) -> Answer:
    """Answers every request alike, and keeps the connection open for the next."""

    async def answer(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if request.method == "HEAD" else body))

    return answer


def raw(*pieces: bytes, pause: float = 0, forever: bool = False, close: bool = True) -> Answer:
    """Sends these bytes, with pauses between them; `forever`: the last piece again and again."""

    async def answer(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        while forever:
            writer.write(pieces[-1])
            await writer.drain()
            await asyncio.sleep(pause)
        if close:
            writer.close()

    return answer


async def hang(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Never answers."""
    await reader.read()


async def reset(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Breaks the connection."""
    writer.transport.abort()


class Town:
    """Targets of one test, on an event loop of their own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._servers: list[asyncio.Server] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def target(self, answer: Answer, *, tls: ssl.SSLContext | None = None) -> Target:
        """Start a server."""
        target = Target(0, "https" if tls else "http")
        target.port = self._started(target, self._serving(target, answer), tls)
        return target

    def blunt(self, greeting: bytes) -> Target:
        """Start a server that says this to whoever connects, and hangs up."""
        target = Target(0)

        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            target.connections += 1
            await reader.read(1)
            writer.write(greeting)
            writer.close()

        target.port = self._started(target, greet, None)
        return target

    def proxy(self) -> Target:
        """Start a forward proxy, which takes both whole URLs and CONNECT."""
        return self.target(_forward)

    def close(self) -> None:
        """Stop all servers."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0)

    def _started(self, target: Target, serve: Serve, tls: ssl.SSLContext | None) -> int:
        return asyncio.run_coroutine_threadsafe(self._start(serve, tls), self._loop).result(10)

    async def _start(self, serve: Serve, tls: ssl.SSLContext | None) -> int:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls, limit=2**20)
        self._servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    def _serving(self, target: Target, answer: Answer) -> Serve:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            target.connections += 1
            self._writers.add(writer)
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while not writer.is_closing():
                    request = await _read(reader)
                    target.requests.append(request)
                    await answer(request, reader, writer)
                    await writer.drain()
            writer.close()

        return serve


@contextmanager
def town() -> Iterator[Town]:
    """Targets that are gone afterwards."""
    made = Town()
    try:
        yield made
    finally:
        made.close()


async def _read(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in head[1:] if line)]
    length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
    return Received(method, path, headers, await reader.readexactly(length))


async def _forward(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if request.method == "CONNECT":
        host, _, port = request.path.rpartition(":")
        onward, back = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(_pipe(reader, back), _pipe(onward, writer))
        return
    place, _, path = request.path.removeprefix("http://").partition("/")
    host, _, port = place.partition(":")
    onward, back = await asyncio.open_connection(host, int(port))
    lines = [f"{request.method} /{path} HTTP/1.1", *(f"{name}: {value}" for name, value in request.headers)]
    back.write("\r\n".join(lines).encode() + b"\r\n\r\n" + request.body)
    await _pipe(onward, writer)


async def _pipe(reader: asyncio.StreamReader, writer: Any) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    writer.close()
