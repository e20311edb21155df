"""Bounds on the database sessions that answer requests: a held lock or a server that hangs must not keep the threads.

Where each of the few threads waits for the database nobody is answered, not even whoever asks whether the process
lives. Handlers that are called over HTTP have threads and sessions of their own, and take the time that they need.
"""

from __future__ import annotations

import threading
from typing import Any, Final

import psycopg
from django.core.signals import request_started
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from psycopg.abc import RV, PQGen
from psycopg.pq import TransactionStatus

from timers import conf
from timers.server.settings import guard_sessions

LOCK_TIMEOUT: Final = 5.0
"""Seconds that a statement waits for a lock."""
COMMIT_TIMEOUT: Final = 3.0
"""Seconds that a COMMIT waits, for a synchronous standby above all; with what its cancelling takes, less than 5."""
MARGIN: Final = 5.0
"""Seconds beyond a statement's time after which a server has hung, as it has not even ended the statement."""


class _Thread(threading.local):
    answers_requests = False


_thread: Final = _Thread()


def bound_sessions() -> None:
    """From now on, in this process: the sessions of threads that answer requests."""
    if conf.current().web_statement_timeout:
        request_started.connect(_know_thread, dispatch_uid=__name__)
        connection_created.connect(_bound, dispatch_uid=__name__)


def give_up_after(connection: psycopg.Connection[Any], seconds: float) -> None:
    """Close the connection when a statement is not answered within so many seconds; it raises OperationalError then.

    What the server bounds by itself it cannot where it hangs, and a network keeps a connection to such a server alive.
    """
    plain = connection.wait

    def wait(gen: PQGen[RV], interval: float = 0.1, timeout: float | None = seconds) -> RV:
        try:
            return plain(gen, interval, timeout)
        except psycopg.OperationalError:
            # Left open it would be waited for once more, to roll back.
            if connection.pgconn.transaction_status == TransactionStatus.ACTIVE:
                connection.close()
            raise

    connection.wait = wait  # type: ignore[method-assign]


def _know_thread(**_: Any) -> None:
    if _thread.answers_requests:
        return
    _thread.answers_requests = True
    seconds = conf.current().web_statement_timeout
    limits = {"statement_timeout": seconds, "lock_timeout": min(LOCK_TIMEOUT, seconds)}
    guard_sessions(
        {name: f"{round(limit * 1000)}ms" for name, limit in limits.items()},
        commit_seconds=min(COMMIT_TIMEOUT, seconds),
    )


def _bound(connection: BaseDatabaseWrapper, **_: Any) -> None:
    if not _thread.answers_requests:
        return
    give_up_after(connection.connection, conf.current().web_statement_timeout + MARGIN)
