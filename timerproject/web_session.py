"""Limits on the database sessions of web requests: a held lock or a server that hangs must not block the threads.

While all of the few threads wait for the database, no request gets a response, not even the liveness probe. Handlers
that are called over HTTP have threads and sessions of their own, without these limits.
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
"""Seconds that a COMMIT waits, mainly for a synchronous standby; together with its cancellation, less than 5."""
MARGIN: Final = 5.0
"""Seconds beyond a statement's timeout after which the server counts as hanging: it has not ended the statement."""


class _Thread(threading.local):
    answers_requests = False


_thread: Final = _Thread()


def bound_sessions() -> None:
    """Apply the limits to the sessions of all request threads of this process, from now on."""
    if conf.current().web_statement_timeout:
        request_started.connect(_know_thread, dispatch_uid=__name__)
        connection_created.connect(_bound, dispatch_uid=__name__)


def give_up_after(connection: psycopg.Connection[Any], seconds: float) -> None:
    """Close the connection, which raises OperationalError, if a statement gets no response within `seconds`.

    A server that hangs cannot enforce its own timeouts, and a network keeps a connection to such a server alive.
    """
    plain = connection.wait

    def wait(gen: PQGen[RV], interval: float = 0.1, timeout: float | None = seconds) -> RV:
        try:
            return plain(gen, interval, timeout)
        except psycopg.OperationalError:
            # If left open, Django would wait for it once more, to roll back.
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
