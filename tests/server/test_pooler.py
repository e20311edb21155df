"""Behind a pooler in transaction mode nothing is left in sessions that the next client gets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connections

from tests.support.transaction_pooler import TransactionPooler
from timers.engine import one_at_a_time as one_at_a_time_module
from timers.engine import recall as recall_module
from timers.engine.one_at_a_time import one_at_a_time
from timers.server.bounded import bounded_copy
from timers.server.prepare import is_pooled
from timers.server.settings import PINNED, TRACKED, guard_sessions
from timers.worker.session import GUARDS


@pytest.fixture
def pooler(transactional_db: None) -> Iterator[TransactionPooler]:
    settings = connections["default"].settings_dict
    path = Path(settings["HOST"]) / f".s.PGSQL.{settings['PORT']}"
    with TransactionPooler(str(path), sessions=2) as made:
        yield made


@pytest.fixture
def own(pooler: TransactionPooler) -> Iterator[Any]:
    """A connection of the engine, whose thread guards its sessions, through the pooler."""
    made = connections["default"].copy()
    made.settings_dict = {**made.settings_dict, "HOST": "127.0.0.1", "PORT": str(pooler.port)}
    guard_sessions(GUARDS)
    made.ensure_connection()
    yield made
    guard_sessions({})
    made.close()


def stranger(pooler: TransactionPooler, *names: str) -> list[str]:
    """What these settings are for another client of the pool."""
    settings = connections["default"].settings_dict
    with psycopg.connect(
        host="127.0.0.1", port=pooler.port, user=settings["USER"], dbname=settings["NAME"], autocommit=True
    ) as connection:
        return [connection.execute(f"SHOW {name}").fetchone()[0] for name in names]  # type: ignore[index]


def test_a_pooler_is_detected(own: Any) -> None:
    assert is_pooled(own)


def test_guards_do_not_reach_strangers(own: Any, pooler: TransactionPooler) -> None:
    names = list(GUARDS)
    assert stranger(pooler, *names) == ["0"] * len(names)
    with own.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert stranger(pooler, *names) == ["0"] * len(names)


def test_pinned_settings_do_not_reach_strangers_unless_the_pooler_gives_each_client_its_own(
    own: Any, pooler: TransactionPooler
) -> None:
    own.connection.execute("SET default_transaction_isolation = 'repeatable read'")
    second = own.copy()
    second.ensure_connection()
    second.close()
    assert stranger(pooler, "default_transaction_isolation") == ["repeatable read"]
    assert set(TRACKED) < set(PINNED)


def test_transactions_state_their_isolation_level_themselves(own: Any) -> None:
    own.connection.execute("SET default_transaction_isolation = 'serializable'")
    own.set_autocommit(False)
    assert own.connection.execute("SHOW transaction_isolation").fetchone() == ("read committed",)
    own.commit()


def test_a_direct_connection_is_not_taken_for_a_pooler(transactional_db: None) -> None:
    assert not is_pooled(connections["default"])


def test_work_that_one_node_does_at_a_time_is_locked_by_a_transaction(
    own: Any, pooler: TransactionPooler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_at_a_time_module, "connection", own)
    with one_at_a_time("tested") as mine:
        assert mine
        with one_at_a_time_here("tested") as also_mine:
            assert not also_mine
    with one_at_a_time_here("tested") as free:
        assert free


def test_lock_of_such_work_outlasts_the_roles_bound_on_idle_transactions(
    own: Any, pooler: TransactionPooler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_at_a_time_module, "connection", own)
    own.connection.execute("SET idle_in_transaction_session_timeout = '1s'")
    with one_at_a_time("tested") as mine, psycopg.connect(**address()) as observer:
        assert mine
        observer.execute("SELECT pg_sleep(1.3)")
        with one_at_a_time_here("tested") as also_mine:
            assert not also_mine


def test_such_work_goes_on_when_the_pooler_ends_the_transaction(
    own: Any, pooler: TransactionPooler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_at_a_time_module, "connection", own)
    with one_at_a_time("tested") as mine, psycopg.connect(**address(), autocommit=True) as observer:
        assert mine
        observer.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND state = 'idle in transaction'"
        )
    with one_at_a_time_here("tested") as free:
        assert free


def test_settings_that_the_server_reports_are_each_clients_own(own: Any, pooler: TransactionPooler) -> None:
    own.connection.execute("SET DateStyle = 'German'")
    assert stranger(pooler, "DateStyle", "TimeZone") == ["ISO, MDY", stranger(pooler, "TimeZone")[0]]
    assert own.connection.execute("SHOW DateStyle").fetchone() == ("German, DMY",)


@pytest.mark.parametrize("in_transaction", [False, True])
def test_cursor_of_the_server_does_not_outlive_its_transaction(
    own: Any, pooler: TransactionPooler, in_transaction: bool
) -> None:
    own.set_autocommit(not in_transaction)
    with own.chunked_cursor() as cursor:
        cursor.execute("SELECT n FROM generate_series(1, 5) AS s(n)")
        assert cursor.fetchmany(2) == [(1,), (2,)]
        with own.connection.cursor() as other:
            # One in a transaction saves memory, and ends with it.
            assert other.execute("SELECT count(*) FROM pg_cursors").fetchone() == (int(in_transaction),)
        assert cursor.fetchall() == [(3,), (4,), (5,)]
    if in_transaction:
        own.rollback()


@pytest.fixture
def exhausted(own: Any, pooler: TransactionPooler) -> Iterator[Any]:
    """A connection in a transaction, while another client has the pool's other session."""
    settings = connections["default"].settings_dict
    with psycopg.connect(host="127.0.0.1", port=pooler.port, user=settings["USER"], dbname=settings["NAME"]) as other:
        other.execute("SELECT 1")
        own.set_autocommit(False)
        own.connection.execute("SELECT 1")
        yield own
        own.rollback()
        own.set_autocommit(True)


def test_wait_for_a_session_of_the_pool_is_bounded(exhausted: Any) -> None:
    second = bounded_copy(exhausted, 0.1)
    # Django sets it when it connects, before anything of ours is sent.
    second.settings_dict["TIME_ZONE"] = "Asia/Tokyo"
    with pytest.raises(OperationalError, match="timeout"):
        second.ensure_connection()
    second.close()


def test_change_goes_on_when_the_pool_has_no_session_to_ask_workers_over(
    exhausted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recall_module, "connection", exhausted)
    monkeypatch.setattr(recall_module, "POOLED_SECONDS", 0.1)
    assert recall_module.recall({(1, 4712): ["00000000-0000-8000-8000-000000000001"]}) == set()
    assert exhausted.connection.execute("SELECT 1").fetchone() == (1,)


def address() -> dict[str, Any]:
    """The database itself, past the pooler."""
    parameters: dict[str, Any] = connections["default"].get_connection_params()
    return parameters


@contextmanager
def one_at_a_time_here(work: str) -> Iterator[bool]:
    """Whether another session would get the lock."""
    with psycopg.connect(**address(), autocommit=True) as connection:
        row = connection.execute("SELECT pg_try_advisory_lock(hashtext(%s))", [work]).fetchone()
        assert row is not None
        yield row[0]
