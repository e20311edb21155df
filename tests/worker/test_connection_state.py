"""What a handler leaves behind on its connections harms no other, and makes its own try an error that names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from tests.worker.handler_thread import Thread, doing
from timers.handlers import Fire
from timers.models import TimerGroup
from timers.scheduling import ensure_group


def execute(*statements: str) -> Callable[[], None]:
    def send() -> None:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    return send


def past_django(statement: str) -> Callable[[], None]:
    def send() -> None:
        connection.ensure_connection()
        connection.connection.execute(statement)

    return send


def read_only() -> None:
    connection.ensure_connection()
    connection.connection.read_only = True


LEFT_ON_CONNECTIONS: dict[str, Callable[[], Any]] = {
    "autocommit off": lambda: transaction.set_autocommit(False),
    "an open transaction (atomic block)": lambda: transaction.atomic().__enter__(),
    "an open transaction": execute("BEGIN"),
    "execute wrappers": lambda: connection.execute_wrappers.append(lambda execute, *args: execute(*args)),
    "a debug cursor": lambda: setattr(connection, "force_debug_cursor", True),
    "changed attributes": read_only,
    "setting statement_timeout (1234)": execute("SET statement_timeout = 1234"),
    "setting lock_timeout (1234)": execute("SELECT 1; /* why */ SET lock_timeout = 1234"),
    "setting application_name (odd)": execute("SELECT set_config('application_name', 'odd', false)"),
    "setting work_mem (1234)": past_django("SET work_mem = 1234"),
    "setting default_transaction_read_only (on)": execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"),
    "setting search_path": execute("set search_path to pg_catalog"),
    "advisory lock 0.42.1": execute("SELECT pg_advisory_lock(42)"),
    "LISTEN (tests_left)": execute("LISTEN tests_left"),
    "temporary table tests_left": execute("CREATE TEMP TABLE tests_left (n int)"),
    "temporary table tests_into": execute("SELECT 1 AS n INTO TEMPORARY tests_into"),
    "prepared statement tests_left": execute("PREPARE tests_left AS SELECT 1"),
    "cursor tests_left": execute("BEGIN", "DECLARE tests_left CURSOR WITH HOLD FOR SELECT 1", "COMMIT"),
}


@pytest.mark.parametrize("name", LEFT_ON_CONNECTIONS)
def test_what_is_left_on_a_connection_fails_the_handler_and_no_other(
    committed: None, thread: Thread, name: str
) -> None:
    def write(number: int) -> Callable[[Fire], None]:
        return doing(lambda: ensure_group(f"written-{number}"))

    outcomes = thread.run(write(1), doing(LEFT_ON_CONNECTIONS[name]), write(2), write(3))
    assert [outcome.word for outcome in outcomes] == ["succeeded", "error", "succeeded", "succeeded"]
    assert name in str(outcomes[1].error_title)
    assert "on connection default" in str(outcomes[1].error_title)
    assert TimerGroup.objects.filter(name__startswith="written-").count() == 3


def test_transaction_that_is_left_open_takes_its_writes_back(committed: None, thread: Thread) -> None:
    def leave(fire: Fire) -> None:
        transaction.set_autocommit(False)
        ensure_group("lost")

    outcomes = thread.run(leave, doing(lambda: ensure_group("kept")))
    assert [outcome.word for outcome in outcomes] == ["error", "succeeded"]
    assert set(TimerGroup.objects.values_list("name", flat=True)) >= {"kept"}
    assert not TimerGroup.objects.filter(name="lost").exists()


def within_a_transaction(*statements: str) -> Callable[[], None]:
    def send() -> None:
        with transaction.atomic():
            execute(*statements)()

    return send


def locked_and_unlocked() -> None:
    execute("SELECT pg_advisory_lock(43)", "SELECT pg_advisory_unlock(43)")()


@pytest.mark.parametrize(
    "does",
    [
        within_a_transaction("SELECT 1"),
        within_a_transaction("SET LOCAL statement_timeout = 1234", "SELECT pg_advisory_xact_lock(44)"),
        within_a_transaction("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SELECT 1"),
        within_a_transaction("CREATE TEMP TABLE tests_gone (n int) ON COMMIT DROP"),
        locked_and_unlocked,
        lambda: connection.close(),  # noqa: PLW0108 - the connection of the thread that calls it
        execute("SET statement_timeout = 1234", "RESET statement_timeout"),
    ],
)
def test_connection_that_is_left_as_it_was_is_kept(committed: None, thread: Thread, does: Callable[[], Any]) -> None:
    sessions: list[int] = []

    def note(fire: Fire) -> None:
        connection.ensure_connection()
        sessions.append(connection.connection.info.backend_pid)

    outcomes = thread.run(note, doing(does), note)
    assert [outcome.error_title for outcome in outcomes] == [None, None, None]
    assert len(sessions) == 2


def test_what_was_set_when_the_connection_was_opened_is_not_the_handlers(committed: None, thread: Thread) -> None:
    from django.db.backends.signals import connection_created

    def configure(connection: Any, **_: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = '7s'")

    connection_created.connect(configure)
    # As apps do: before the worker's own receiver.
    connection_created.receivers.insert(0, connection_created.receivers.pop())
    try:
        outcomes = thread.run(doing(execute("SELECT 1")), doing(execute("SET lock_timeout = 5", "RESET lock_timeout")))
    finally:
        connection_created.disconnect(configure)
    assert [outcome.error_title for outcome in outcomes] == [None, None]
