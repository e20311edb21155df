"""Cache of the secrets that calls need: read in a separate thread, used for a few seconds."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from timers.database import connection
from timers.engine.secret_values import SecretValue, read_secrets

FRESH_SECONDS: Final = 5.0
"""Seconds after which a value is read again: a replaced secret is used everywhere within this time."""

Found = dict[str, SecretValue | str]

logger = logging.getLogger(__name__)


class SecretCache:
    """Used by the calls of one event loop; concurrent calls that need the same secret share one query."""

    def __init__(self, read: Callable[[Collection[str]], Found] = read_secrets) -> None:
        self._read = read
        self._known: dict[str, tuple[float, SecretValue | str | None]] = {}
        self._reading: dict[frozenset[str], asyncio.Task[None]] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="secrets")

    async def get(self, names: Collection[str]) -> dict[str, SecretValue | str | None]:
        """Return the secrets of those names; text: why it cannot be read, None: there is no secret of that name.

        While the database is unavailable, cached values are still used; for others its error is raised.
        """
        now = time.monotonic()
        stale = frozenset(name for name in names if name not in self._known or self._known[name][0] <= now)
        if stale:
            reading = self._reading.get(stale)
            if reading is None:
                reading = self._reading[stale] = asyncio.create_task(self._look(stale))
                reading.add_done_callback(lambda _: self._reading.pop(stale, None))
            # A call that is cancelled must not cancel the query for the others.
            await asyncio.shield(reading)
        return {name: self._known[name][1] for name in names}

    def close(self) -> None:
        """Shut down the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _look(self, names: frozenset[str]) -> None:
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._thread, self._read_and_close, names)
        except Exception as error:
            if not all(name in self._known for name in names):
                raise
            logger.warning("secrets not read again: %s", str(error).partition("\n")[0])
            found = {name: value for name in names if (value := self._known[name][1]) is not None}
        until = time.monotonic() + FRESH_SECONDS
        for name in names:
            self._known[name] = until, found.get(name)

    def _read_and_close(self, names: frozenset[str]) -> Found:
        try:
            return self._read(names)
        finally:
            connection.close()
