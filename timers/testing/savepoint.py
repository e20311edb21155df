"""A handler's database error ends its attempt, not the transaction of the test that called it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg.pq import TransactionStatus

from timers.database import connection, transaction


@contextmanager
def surviving_errors() -> Iterator[None]:
    """Roll back to the beginning of the block if it breaks the surrounding transaction.

    What a handler wrote before any other error is kept, as in a worker, where no transaction surrounds it.
    """
    if not connection.in_atomic_block:
        yield
        return
    savepoint = transaction.savepoint()
    try:
        yield
    finally:
        if _is_broken():
            transaction.set_rollback(False)
            transaction.savepoint_rollback(savepoint)
        else:
            transaction.savepoint_commit(savepoint)


def _is_broken() -> bool:
    status = connection.connection.info.transaction_status
    return transaction.get_rollback() or status == TransactionStatus.INERROR
