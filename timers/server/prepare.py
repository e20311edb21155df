"""Prepare a new connection in one round trip: set pinned settings, check which server responded, watch its commits."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import IsolationLevel, sql

from timers import conf
from timers.database import ALIAS
from timers.server import memory
from timers.server.commits import watch_commits
from timers.server.identity import REMEDY, Answered, ServerRefused, why_refused
from timers.server.settings import ISOLATION, PINNED, TRACKED, commit_seconds, guards

logger = logging.getLogger(__name__)

_SET: Final = sql.SQL(
    "SELECT set_config(s.name, s.value, false) FROM (VALUES {settings}) AS s(name, value, is_tracked)"
    " WHERE s.is_tracked OR {is_ours}"
)
_ASK: Final = sql.SQL("SELECT pg_backend_pid(), a.* FROM timers_server() a")
_ASK_NOTHING: Final = sql.SQL("SELECT pg_backend_pid()")


@dataclass(frozen=True, slots=True)
class Session:
    """What is known about a prepared connection."""

    is_pooled: bool
    """Whether a pooler is in between, which gives the server's session to others after each transaction."""
    server: Answered | None
    """None: the tables are not migrated yet."""


_sessions: Final[weakref.WeakKeyDictionary[psycopg.Connection[Any], Session]] = weakref.WeakKeyDictionary()
_accepts_any = False


def session_of(connection: BaseDatabaseWrapper) -> Session:
    """Return what is known about the wrapper's connection; connect if needed."""
    connection.ensure_connection()
    return _sessions.get(connection.connection) or Session(is_pooled=False, server=None)


def is_pooled(connection: BaseDatabaseWrapper) -> bool:
    """Return whether session settings, session locks and LISTEN on this connection would affect other clients."""
    return session_of(connection).is_pooled


@contextmanager
def any_server() -> Iterator[None]:
    """Refuse no server within the block: for the command that accepts one, and the doctor."""
    global _accepts_any  # noqa: PLW0603 - commands alone, before they connect
    _accepts_any = True
    try:
        yield
    finally:
        _accepts_any = False


def prepare(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Receive Django's `connection_created`.

    Raises:
        ServerRefused: it is a wrong server; the connection is closed.
    """
    if connection.vendor != "postgresql" or connection.alias != ALIAS:
        return
    raw: psycopg.Connection[Any] = connection.connection
    if raw in _sessions:
        return  # a pool in this process has handed it out again
    session = _prepared(raw, _pinned(connection))
    _sessions[raw] = session
    if session.is_pooled and "isolation_level" not in connection.settings_dict["OPTIONS"]:
        # Sent with each BEGIN, because the session belongs to the pooler.
        raw.isolation_level = IsolationLevel.READ_COMMITTED
    if session.is_pooled:
        _hold_no_cursors(connection)
    try:
        if session.server is not None and not _accepts_any:
            _check(connection, session.server)
    except ServerRefused:
        connection.close()
        raise
    watch_commits(raw, commit_seconds())


def _hold_no_cursors(connection: BaseDatabaseWrapper) -> None:
    """Fetch rows at once where a server-side cursor would outlive its transaction, in another client's session."""
    create = type(connection).create_cursor

    def create_cursor(name: str | None = None) -> Any:
        return create(connection, None if connection.get_autocommit() else name)

    connection.create_cursor = create_cursor  # type: ignore[method-assign]


def _pinned(connection: BaseDatabaseWrapper) -> dict[str, str]:
    pinned = {**PINNED, **guards()}
    if "isolation_level" in connection.settings_dict["OPTIONS"]:
        # The project sets it; the doctor reports it.
        del pinned[ISOLATION]
    return pinned


def _prepared(raw: psycopg.Connection[Any], pinned: dict[str, str]) -> Session:
    pid = raw.info.backend_pid
    mode = conf.current().pool_mode
    is_ours = sql.Literal(mode == "session") if mode != "auto" else sql.SQL("pg_backend_pid() = {}").format(pid)
    settings = sql.SQL(", ").join(
        sql.SQL("({}, {}, {})").format(name, value, name in TRACKED) for name, value in pinned.items()
    )
    setting = _SET.format(settings=settings, is_ours=is_ours)
    row = _last_row(raw, setting, _ASK)
    pooled = mode == "transaction" or (mode == "auto" and row[0] != pid)
    return Session(pooled, Answered(*row[1:]) if len(row) > 1 else None)


def _last_row(raw: psycopg.Connection[Any], setting: sql.Composed, ask: sql.SQL) -> tuple[Any, ...]:
    try:
        cursor = raw.execute(sql.SQL("; ").join([setting, ask]))
    except psycopg.errors.UndefinedFunction:
        # Not migrated yet. The failed batch set nothing.
        cursor = raw.execute(sql.SQL("; ").join([setting, _ASK_NOTHING]))
    while cursor.nextset():
        pass
    row: tuple[Any, ...] | None = cursor.fetchone()
    assert row is not None
    return row


def _check(connection: BaseDatabaseWrapper, server: Answered) -> None:
    address = memory.address_of(connection.settings_dict)
    remembered = memory.recall(address)
    why = why_refused(server, remembered)
    if why:
        info = connection.connection.info
        where = f" at {info.host}:{info.port}"
        raise ServerRefused(f"the database server{where} is refused: {why}. {REMEDY}", info.host, str(info.port))
    now_known = server.remembered(remembered)
    if now_known != remembered:
        memory.remember(address, now_known)
