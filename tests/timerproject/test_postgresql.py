"""A kept connection is known to be alive without a statement, and known to be dead before a request would fail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection, connections

from tests.support.eventually import eventually
from timerproject.postgresql.base import DatabaseWrapper


@pytest.fixture
def kept(django_db_blocker: Any, db: None) -> Iterator[Any]:
    """Another connection of the kind that requests use, open and idle."""
    own = connections["default"].copy()
    try:
        own.ensure_connection()
        yield own
    finally:
        own.close()


def was_asked(wrapper: Any) -> bool:
    """Whether the last statement of its session, as the server knows it, was the one that asks whether it is alive."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT query FROM pg_stat_activity WHERE pid = %s", (wrapper.connection.info.backend_pid,))
        return bool(cursor.fetchone()[0] == "SELECT 1")


def test_the_project_uses_it() -> None:
    assert isinstance(connections["default"], DatabaseWrapper)


def test_a_quiet_connection_is_usable_and_is_not_asked(kept: Any) -> None:
    assert kept.is_usable()
    assert not was_asked(kept)


def test_one_that_had_an_error_is_asked_by_a_statement(kept: Any) -> None:
    kept.errors_occurred = True
    assert kept.is_usable()
    assert was_asked(kept)


def test_one_that_was_left_in_a_broken_transaction_is_not_usable(kept: Any) -> None:
    kept.connection.autocommit = False
    with pytest.raises(psycopg.errors.UndefinedTable):
        kept.connection.execute("SELECT * FROM no_such_table")
    assert not kept.is_usable()


def test_one_whose_session_was_ended_is_not_usable(kept: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", (kept.connection.info.backend_pid,))
    eventually(lambda: not kept.is_usable())


def test_one_that_was_told_something_is_still_usable(kept: Any) -> None:
    kept.connection.execute("LISTEN timers_test")
    with psycopg.connect(kept.connection.info.dsn, password=kept.connection.info.password, autocommit=True) as other:
        other.execute("NOTIFY timers_test")
    assert kept.is_usable()


def test_none_is_not_usable(kept: Any) -> None:
    kept.close()
    assert not kept.is_usable()
