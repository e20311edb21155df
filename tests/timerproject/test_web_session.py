"""Sessions that answer requests are bounded; those of anybody else are not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from django.core.signals import request_started
from django.db import OperationalError, connections
from django.db.backends.signals import connection_created

from timerproject import web_session
from timerproject.web_session import bound_sessions, give_up_after


@pytest.fixture
def bounded(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process is a web process for the time of the test."""
    monkeypatch.setattr(web_session, "_thread", web_session._Thread())
    bound_sessions()
    yield
    request_started.disconnect(dispatch_uid=web_session.__name__)
    connection_created.disconnect(dispatch_uid=web_session.__name__)


def limits(serves: bool) -> tuple[Any, ...]:
    """What holds for the session of another thread."""

    def look() -> tuple[Any, ...]:
        own = connections["default"]
        if serves:
            request_started.send(sender=None, environ={})
        try:
            with own.cursor() as cursor:
                cursor.execute("SELECT current_setting('statement_timeout'), current_setting('lock_timeout')")
                return tuple(cursor.fetchone())
        finally:
            own.close()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(look).result()


def test_a_thread_that_answers_requests_waits_for_the_database_only_so_long(bounded: None) -> None:
    assert limits(serves=True) == ("15s", "5s")


def test_a_thread_of_a_handler_is_left_alone(bounded: None) -> None:
    assert limits(serves=False) == ("0", "0")


def test_a_server_that_says_nothing_is_given_up_with_its_connection(bounded: None) -> None:
    own = connections["default"].copy()
    own.ensure_connection()
    give_up_after(own.connection, 0.2)
    begin = time.monotonic()
    with pytest.raises(OperationalError):
        own.cursor().execute("SELECT pg_sleep(3)")
    assert time.monotonic() - begin < 1
    assert own.connection is None or own.connection.closed


def test_an_answer_in_time_is_an_answer(bounded: None) -> None:
    with psycopg.connect(**connections["default"].get_connection_params()) as connection:
        give_up_after(connection, 5)
        assert connection.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("SELECT 1 / 0")
        assert not connection.closed
