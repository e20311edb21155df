"""Threads that are kept from one seed to the next, with their database connections."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Final

from django.db import connection

Task = Callable[[], None]


class Threads:
    """As many threads as the largest seed has actors."""

    def __init__(self) -> None:
        self._queues: Final[list[SimpleQueue[Task | None]]] = []
        self._threads: Final[list[threading.Thread]] = []
        self._done: Final[SimpleQueue[None]] = SimpleQueue()

    def start(self, tasks: Sequence[Task]) -> None:
        """Begin each task in a thread of its own."""
        while len(self._threads) < len(tasks):
            queue: SimpleQueue[Task | None] = SimpleQueue()
            self._queues.append(queue)
            self._threads.append(threading.Thread(target=self._serve, args=(queue,), daemon=True))
            self._threads[-1].start()
        for queue, task in zip(self._queues, tasks, strict=False):
            queue.put(task)

    def await_end(self, seconds: float) -> None:
        """Wait until one more task has ended. Raises queue.Empty when none has within `seconds`."""
        self._done.get(timeout=seconds)

    def close(self) -> None:
        """End the threads, and close their connections."""
        for queue in self._queues:
            queue.put(None)
        for thread in self._threads:
            thread.join(10)

    def _serve(self, queue: SimpleQueue[Task | None]) -> None:
        while (task := queue.get()) is not None:
            task()
            self._done.put(None)
        connection.close()

    @property
    def idents(self) -> list[int]:
        """The identifiers of the threads."""
        return [thread.ident for thread in self._threads if thread.ident is not None]
