"""Work that every node attempts and one at a time does, step by step, in its own transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from django.db import DatabaseError

from timers.database import connection
from timers.server.prepare import is_pooled


@contextmanager
def one_at_a_time(work: str) -> Iterator[bool]:
    """Take the session lock of a kind of work; yield False when another session has it."""
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
    """Take the lock in a transaction of another connection: a pooler assigns the session to it until the end."""
    other = connection.copy()
    with closing(other):
        other.set_autocommit(False)
        with other.cursor() as cursor:
            # The transaction is idle for as long as the work takes, whatever the limit of the role.
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext(%s))", (work,))
            (mine,) = cursor.fetchone()
        try:
            yield mine
        finally:
            # A pooler may have ended the idle transaction; the lock is free then.
            with suppress(DatabaseError):
                other.rollback()
