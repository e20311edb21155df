"""A second database session: a thread with a connection of its own, for races between two."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import Any, Self, TypeVar

from django.db import connection, transaction

from tests.support.eventually import eventually

Value = TypeVar("Value")


class OtherSession:
    """Runs what it is given in its own thread, in order; a context manager that ends its transaction and connection."""

    def __init__(self, now: datetime | None = None) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._open: list[transaction.Atomic] = []
        self.pid: int = self.run(lambda: _connect(now))

    def run(self, call: Callable[[], Value]) -> Value:
        """The result of the call; raises what it raises."""
        return self._thread.submit(call).result(timeout=20)

    def start(self, call: Callable[[], Value]) -> Future[Value]:
        """Begin the call and do not wait for it."""
        return self._thread.submit(call)

    def begin(self) -> None:
        """Open a transaction: what follows keeps its locks until commit() or rollback()."""
        atomic = transaction.atomic()
        self.run(atomic.__enter__)
        self._open.append(atomic)

    def commit(self) -> None:
        """End the open transaction."""
        atomic = self._open.pop()
        self.run(lambda: atomic.__exit__(None, None, None))

    def rollback(self) -> None:
        """End the open transaction without effect."""
        atomic = self._open.pop()
        error = RuntimeError("rolled back")
        self.run(lambda: atomic.__exit__(RuntimeError, error, None))

    def waits_for_a_lock(self) -> None:
        """Return when the session is blocked by another one (seen from the calling thread's session)."""
        eventually(lambda: _is_blocked(self.pid))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        while self._open:
            self.rollback()
        self.run(lambda: connection.close())  # noqa: PLW0108 - the thread's own connection
        self._thread.shutdown()


def in_threads(number: int, call: Callable[[int], Value]) -> list[Value | Exception]:
    """The results (or errors) of the same call in so many sessions at once."""

    def one(index: int) -> Value | Exception:
        try:
            _connect(None)
            return call(index)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=number) as pool:
        return list(pool.map(one, range(number)))


def _connect(now: datetime | None) -> int:
    with connection.cursor() as cursor:
        if now is not None:
            cursor.execute("SELECT set_config('timers.virtual_now', %s, false)", [now.isoformat()])
        cursor.execute("SET lock_timeout = '10s'")
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    return int(pid)


def _is_blocked(pid: int) -> Any:
    with connection.cursor() as cursor:
        cursor.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", [pid])
        return cursor.fetchone()[0]
