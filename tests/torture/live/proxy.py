"""Proxy: the connections between one node and the database, over a socket of the node's own.

A cut holds back every byte in both directions, as a network does whose link is down: what was sent arrives when the
link is up again. A lost reply is worse: the server has committed, and the connection ends before the client hears it.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

COMMITTED: Final = b"C\x00\x00\x00\x0bCOMMIT\x00"
"""CommandComplete for COMMIT, in the PostgreSQL protocol."""


class Proxy:
    """Listens on `folder` as a PostgreSQL server would, and forwards to `server`, a server's own socket."""

    def __init__(self, folder: Path, server: Path) -> None:
        self.folder, self._server = folder, server
        self._loop = asyncio.new_event_loop()
        self._open = asyncio.Event()
        self._open.set()
        self._delay = 0.0
        self._replies_to_lose = 0
        self.replies_lost = 0
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        folder.mkdir(parents=True, exist_ok=True)
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    def cut(self) -> None:
        """Let nothing through, until `mend`."""
        self._loop.call_soon_threadsafe(self._open.clear)

    def slow(self, seconds: float) -> None:
        """Delay everything by so much, until `mend`."""
        self._delay = seconds

    def lose_replies(self, count: int) -> None:
        """End so many connections right after their server has committed, before the client hears of it."""
        self._replies_to_lose = count

    def mend(self) -> None:
        """Forward everything again."""
        self._delay, self._replies_to_lose = 0.0, 0
        self._loop.call_soon_threadsafe(self._open.set)

    def close(self) -> None:
        """End the loop and all connections."""
        asyncio.run_coroutine_threadsafe(self._cancel_all(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    async def _cancel_all(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self) -> None:
        path = self.folder / self._server.name
        path.unlink(missing_ok=True)
        await asyncio.start_unix_server(self._connected, path)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._open.wait()
            onward, back = await asyncio.open_unix_connection(self._server)
        except (OSError, asyncio.CancelledError):
            writer.close()
            return
        both = (writer, back)
        # Cancelled: the proxy is closed.
        with suppress(asyncio.CancelledError):
            await asyncio.gather(
                self._forward(reader, back, both, replies=False), self._forward(onward, writer, both, replies=True)
            )

    async def _forward(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        both: tuple[asyncio.StreamWriter, ...],
        *,
        replies: bool,
    ) -> None:
        with suppress(ConnectionError, OSError):
            while piece := await source.read(65_536):
                if replies and self._replies_to_lose > 0 and COMMITTED in piece:
                    self._replies_to_lose -= 1
                    self.replies_lost += 1
                    break
                if self._delay:
                    await asyncio.sleep(self._delay)
                await self._open.wait()
                target.write(piece)
                await target.drain()
        for writer in both:
            with suppress(ConnectionError, OSError):
                writer.close()
