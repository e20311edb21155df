"""A handler's database error ends its try, not the transaction of the test that it was called in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction
from psycopg.pq import TransactionStatus


@contextmanager
def surviving_errors() -> Iterator[None]:
    """Go back to where the block began when it breaks the transaction around it.

    What a handler wrote before any other error stays, as it does in a worker, where no transaction is around it.
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
