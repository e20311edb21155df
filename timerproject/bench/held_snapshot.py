"""A transaction that holds its snapshot open, like a forgotten session or a long dump."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections


@contextmanager
def held_snapshot() -> Iterator[None]:
    """Hold a REPEATABLE READ snapshot on a second connection: no dead row that is newer can be cleaned up."""
    other = connections["default"].copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("SELECT count(*) FROM timers_node")
        yield
    finally:
        other.close()
