"""Behind a pooler in transaction mode nothing is left in sessions that the next client gets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connections

from tests.support.transaction_pooler import TransactionPooler
from timers.lifecycle import one_at_a_time as one_at_a_time_module
from timers.lifecycle.one_at_a_time import one_at_a_time
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


@contextmanager
def one_at_a_time_here(work: str) -> Iterator[bool]:
    """Whether another session would get the lock."""
    with psycopg.connect(**connections["default"].get_connection_params(), autocommit=True) as connection:
        row = connection.execute("SELECT pg_try_advisory_lock(hashtext(%s))", [work]).fetchone()
        assert row is not None
        yield row[0]
