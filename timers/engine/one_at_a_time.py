"""Work that every node tries and one at a time does, step by step, in transactions of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from django.db import DatabaseError, connection

from timers.server.prepare import is_pooled


@contextmanager
def one_at_a_time(work: str) -> Iterator[bool]:
    """Hold the session lock of a kind of work; gives False when another session has it."""
    if is_pooled(connection):
        with _in_a_transaction(work) as mine:
            yield mine
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext(%s))", (work,))
        (mine,) = cursor.fetchone()
        try:
            yield mine
        finally:
            if mine:
                cursor.execute("SELECT pg_advisory_unlock(hashtext(%s))", (work,))


@contextmanager
def _in_a_transaction(work: str) -> Iterator[bool]:
    """The same lock for a transaction of another connection: a pooler leaves the session to it for as long."""
    other = connection.copy()
    with closing(other):
        other.set_autocommit(False)
        with other.cursor() as cursor:
            # It is idle for as long as the work takes, whatever the role's bound.
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext(%s))", (work,))
            (mine,) = cursor.fetchone()
        try:
            yield mine
        finally:
            # A pooler may have ended what it found idle; the lock is free then.
            with suppress(DatabaseError):
                other.rollback()
