"""A commit whose outcome is unknown raises; one that was refused, or confirmed, is what it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection, transaction

from timers.server import commits
from timers.server.commits import CommitOutcomeUnknown
from timers.server.settings import guard_sessions

Connected = Callable[..., Any]

_AT_COMMIT = """
CREATE TABLE test_commit (n int);
CREATE FUNCTION test_at_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM {action}; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER test_at_commit AFTER INSERT ON test_commit DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION test_at_commit();
"""
LOST = SimpleNamespace(source_function="SyncRepWaitForLSN", message_primary="Warten abgebrochen")


@pytest.fixture
def at_commit(transactional_db: None) -> Iterator[Callable[[str], None]]:
    """Has the server do something when a row of test_commit is committed."""
    connection.ensure_connection()
    yield lambda action: connection.connection.execute(_AT_COMMIT.format(action=action))
    connection.connection.execute("DROP TABLE IF EXISTS test_commit; DROP FUNCTION IF EXISTS test_at_commit()")


@pytest.fixture
def bounded() -> Iterator[None]:
    """Commits of this thread's new connections take half a second at most."""
    guard_sessions({}, commit_seconds=0.5)
    yield
    guard_sessions({})


def insert(own: Any) -> None:
    own.set_autocommit(False)
    own.connection.execute("INSERT INTO test_commit VALUES (1)")
    own.commit()


def test_a_connection_that_dies_during_the_commit_leaves_its_outcome_unknown(
    connected: Connected, at_commit: Callable[[str], None]
) -> None:
    at_commit("pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(OperationalError) as error:
        insert(connected())
    assert isinstance(error.value.__cause__, CommitOutcomeUnknown)


def test_a_commit_that_the_server_refuses_is_known_to_have_failed(
    connected: Connected, at_commit: Callable[[str], None]
) -> None:
    at_commit("1 / 0")
    with pytest.raises(Exception, match="division by zero") as error:
        insert(connected())
    assert not isinstance(error.value.__cause__, CommitOutcomeUnknown)


def test_a_commit_that_takes_too_long_is_cancelled(
    connected: Connected, at_commit: Callable[[str], None], bounded: None
) -> None:
    at_commit("pg_sleep(30)")
    began = time.monotonic()
    with pytest.raises(OperationalError, match="canceling statement") as error:
        insert(connected())
    assert time.monotonic() - began < 10
    # The server said so: nothing was committed.
    assert not isinstance(error.value.__cause__, CommitOutcomeUnknown)


def test_a_commit_that_cannot_be_cancelled_either_is_given_up_with_its_connection(
    connected: Connected, at_commit: Callable[[str], None], bounded: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_commit("pg_sleep(3)")
    monkeypatch.setattr(commits, "CANCEL_SECONDS", 0.2)
    monkeypatch.setattr(psycopg.Connection, "cancel_safe", lambda *args, **options: None)
    own = connected()
    with pytest.raises(OperationalError) as error:
        insert(own)
    assert isinstance(error.value.__cause__, CommitOutcomeUnknown)
    assert own.connection is None or own.connection.closed


@pytest.mark.parametrize("seconds", [None, 3.0])
def test_a_commit_that_was_not_replicated_is_unknown_in_whatever_language_the_server_warns(
    connected: Connected, monkeypatch: pytest.MonkeyPatch, seconds: float | None
) -> None:
    plain = psycopg.Connection.commit

    def warned(self: Any) -> None:
        plain(self)
        for hear in self._notice_handlers:
            hear(LOST)

    monkeypatch.setattr(psycopg.Connection, "commit", warned)
    guard_sessions({}, commit_seconds=seconds)
    own = connected()
    guard_sessions({})
    own.set_autocommit(False)
    own.connection.execute("SELECT 1")
    with pytest.raises(OperationalError, match="perhaps on no standby") as error:
        own.commit()
    assert isinstance(error.value.__cause__, CommitOutcomeUnknown)
    # It is said once; the connection goes on.
    monkeypatch.undo()
    own.connection.execute("SELECT 1")


def test_a_statement_that_commits_by_itself_is_watched_where_commits_are_bounded(
    connected: Connected, bounded: None
) -> None:
    own = connected()
    (hear,) = own.connection._notice_handlers
    hear(LOST)
    with pytest.raises(OperationalError), own.cursor() as cursor:
        cursor.execute("SELECT 1")


def test_other_notices_say_nothing_of_commits(connected: Connected) -> None:
    own = connected()
    own.connection.execute("DO $$ BEGIN RAISE WARNING 'canceling wait for synchronous replication'; END $$")
    with transaction.atomic():
        own.connection.execute("SELECT 1")


def test_a_commit_in_time_is_a_commit(connected: Connected, at_commit: Callable[[str], None], bounded: None) -> None:
    at_commit("1")
    own = connected()
    insert(own)
    assert own.connection.execute("SELECT count(*) FROM test_commit").fetchone() == (1,)
    own.commit()
