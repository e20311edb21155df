"""A target on this host that responds to each call after a delay, like a webhook receiver that has work to do."""

from __future__ import annotations

import asyncio
import re
import threading
from types import TracebackType
from typing import Final, Self

ADDRESS: Final = "127.0.0.1"
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class SlowTarget:
    """A server in a thread. `most`: the maximum number of concurrent calls."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._under_way = 0
        self.most = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        serving = asyncio.start_server(self._serve, ADDRESS, 0, backlog=4096)
        server = asyncio.run_coroutine_threadsafe(serving, self._loop).result(10)
        self.url = f"http://{ADDRESS}:{server.sockets[0].getsockname()[1]}/"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                found = _LENGTH.search(head)
                await reader.readexactly(int(found[1]) if found else 0)
                self._under_way += 1
                self.most = max(self.most, self._under_way)
                await asyncio.sleep(self._seconds)
                self._under_way -= 1
                writer.write(_ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
