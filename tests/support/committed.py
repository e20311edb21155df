"""Rows that are really committed: for tests with several sessions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.db import connection, connections, transaction
from django.test import TransactionTestCase

KEPT: Final = frozenset({"django_content_type", "auth_permission"})
"""What `migrate` writes, and no test changes."""
NOT_MANAGED: Final = ("timers_attempt",)
"""Tables that are not Django's, which its own flush would leave."""
TRUNCATED: Final = frozenset({"timers_audit_entry"})
"""A trigger refuses to delete their rows."""


@contextmanager
def session_ended_afterwards() -> Iterator[None]:
    """Bound the waits of a test on committed rows, and end its session."""
    with connection.cursor() as cursor:
        # Two sessions of one test that wait for each other fail it rather than hang it.
        cursor.execute("SET lock_timeout = '10s'")
    try:
        yield
    finally:
        # What a failed test left open ends, and so does virtual time.
        connection.close()


def empty_tables_without_flush() -> None:
    """Let the tests that commit empty only the tables that they filled.

    Django's flush truncates every table, which recreates about a hundred files, and then writes the content types and
    permissions again: ten times what most of these tests need themselves.
    """
    TransactionTestCase._fixture_teardown = _delete_rows  # type: ignore[method-assign]


def _delete_rows(test: TransactionTestCase) -> None:
    for alias in test._databases_names(include_mirrors=False):  # type: ignore[attr-defined]
        database = connections[alias]
        tables = {*database.introspection.django_table_names(include_views=False), *NOT_MANAGED} - KEPT
        with transaction.atomic(using=alias), database.cursor() as cursor:
            # What another session of the test still writes is waited for, as the flush does.
            cursor.execute(f"LOCK TABLE {', '.join(sorted(tables))} IN SHARE ROW EXCLUSIVE MODE")
            for table in _filled(cursor, sorted(tables)):
                # Foreign keys are checked at the commit, so the order is free.
                cursor.execute(f"{'TRUNCATE' if table in TRUNCATED else 'DELETE FROM'} {table}")


def _filled(cursor: Any, tables: list[str]) -> list[str]:
    cursor.execute(" UNION ALL ".join(f"SELECT '{table}' WHERE EXISTS (SELECT FROM {table})" for table in tables))
    return [table for (table,) in cursor.fetchall()]
