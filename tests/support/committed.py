"""Rows that are really committed: for tests with several sessions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def ledger_emptied_afterwards() -> Iterator[None]:
    """Empty the ledger at the end: Django's own flush leaves it, as its table is not Django's."""
    with connection.cursor() as cursor:
        # Two sessions of one test that wait for each other fail it rather than hang it.
        cursor.execute("SET lock_timeout = '10s'")
    try:
        yield
    finally:
        # A new session: what a failed test left open ends, and so does virtual time.
        connection.close()
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM timers_attempt")
