"""Database connections of a handler thread: detect what a handler leaves on one, and drop that connection.

A connection is monitored from its opening on. The state known to Django and psycopg (autocommit, transaction) is
compared after every handler. The state known only to the server (settings, advisory locks, temporary tables and the
like) is read after handlers that sent a statement which can change it: this costs a round trip, but only for those
handlers.
"""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from typing import Any, Final

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

logger = logging.getLogger(__name__)

_SUSPICIOUS: Final = re.compile(
    r"(?:^|;)\s*(?:(?:--[^\n]*\n|/\*.*?\*/)\s*)*"
    r"(?:set|reset|discard|listen|unlisten|prepare|deallocate|declare|load|do|call)\b"
    r"|\b(?:set_config|pg_(?:try_)?advisory_lock(?:_shared)?)\s*\(|\btemp(?:orary)?\b|\bpg_temp\b",
    re.IGNORECASE | re.DOTALL,
)
_LOOKED_AT: Final = 10_000
"""Maximum number of characters of a statement that are searched."""

_STATE: Final = """
SELECT 'setting ' || name, setting FROM pg_catalog.pg_settings WHERE source = 'session'
    AND name NOT IN ('transaction_isolation', 'transaction_read_only', 'transaction_deferrable')
UNION ALL SELECT 'role', current_user
UNION ALL SELECT 'advisory lock ' || concat_ws('.', classid, objid, objsubid), mode FROM pg_catalog.pg_locks
    WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid()
UNION ALL SELECT 'LISTEN', channel FROM pg_catalog.pg_listening_channels() AS channel
UNION ALL SELECT 'temporary table ' || relname, '' FROM pg_catalog.pg_class
    WHERE relnamespace = pg_catalog.pg_my_temp_schema() AND relkind IN ('r', 'p', 'v', 'S', 'm')
UNION ALL SELECT 'prepared statement ' || name, '' FROM pg_catalog.pg_prepared_statements WHERE from_sql
UNION ALL SELECT 'cursor ' || name, '' FROM pg_catalog.pg_cursors WHERE is_holdable
UNION ALL SELECT 'process', pg_catalog.pg_backend_pid()::text
"""
_IDLE: Final = 0
"""psycopg.pq.TransactionStatus.IDLE"""

_of_thread = threading.local()


class ConnectionState:
    """The connections opened by the thread that created this object."""

    def __init__(self) -> None:
        self.opened: list[_Connection] = []
        _of_thread.opened = self.opened
        connection_created.connect(_note_opened, dispatch_uid="timers.worker.connection_state")

    def left(self) -> list[str]:
        """Drop the connections on which the handler left something. Return what it left, as text."""
        left: list[str] = []
        for each in list(self.opened):
            try:
                found = each.left()
            except Exception:
                logger.warning("connection %s cannot be looked at and is closed", each.alias, exc_info=True)
                each.drop()
                found = []
            if found:
                left += [f"{words} on connection {each.alias}" for words in found]
                each.drop()
            if each.is_closed:
                self.opened.remove(each)
        return left


class _Connection:
    """One open connection: Django's wrapper, and its state when it was opened."""

    def __init__(self, wrapper: BaseDatabaseWrapper) -> None:
        self.alias = wrapper.alias
        self._wrapper = wrapper
        self._raw = wrapper.connection
        self._wrappers = list(wrapper.execute_wrappers)
        self._debug = wrapper.force_debug_cursor
        self._is_suspicious = False
        self._knows_session = False
        self._session: set[tuple[str, str]] = set()
        self._attributes: tuple[Any, ...] = ()
        if wrapper.vendor == "postgresql" and hasattr(self._raw, "pgconn"):
            self._session = self._read_session()
            # Behind a pooler, each transaction may run in another session: its state cannot be compared.
            self._knows_session = ("process", str(self._raw.info.backend_pid)) in self._session
            self._attributes = self._read_attributes()
            self._raw.cursor_factory = _noting(self._raw.cursor_factory, self)
            self._raw.server_cursor_factory = _noting(self._raw.server_cursor_factory, self)

    @property
    def is_closed(self) -> bool:
        """Whether Django's wrapper now has another connection, or none."""
        return self._wrapper.connection is not self._raw

    def note(self, statement: Any) -> None:
        """Check a statement that is about to be sent."""
        if not self._is_suspicious:
            if isinstance(statement, bytes):
                statement = statement.decode(errors="replace")
            self._is_suspicious = not isinstance(statement, str) or bool(_SUSPICIOUS.search(statement[:_LOOKED_AT]))

    def left(self) -> list[str]:
        """Return what a handler left on the connection, as text."""
        wrapper = self._wrapper
        left = []
        if wrapper.in_atomic_block:
            left.append("an open transaction (atomic block)")
        if wrapper.execute_wrappers != self._wrappers:
            left.append("execute wrappers")
        if wrapper.force_debug_cursor != self._debug:
            left.append("a debug cursor")
        if self.is_closed:
            return left
        if wrapper.autocommit != wrapper.settings_dict["AUTOCOMMIT"]:
            left.append(f"autocommit {'on' if wrapper.autocommit else 'off'}")
        if self._attributes:
            self._look_at_psycopg(left)
        return left

    def drop(self) -> None:
        """Close the connection and make Django create a new wrapper for the alias, so that no part of it is reused."""
        with contextlib.suppress(Exception):
            self._raw.close()
        with contextlib.suppress(Exception):
            if connections[self.alias] is self._wrapper:
                del connections[self.alias]
        self._wrapper.connection = None

    def _look_at_psycopg(self, left: list[str]) -> None:
        raw = self._raw
        if raw.closed:
            return
        if raw.pgconn.transaction_status != _IDLE and not left:
            left.append("an open transaction")
        if left:
            return
        if self._read_attributes() != self._attributes:
            left.append("changed attributes of the psycopg connection (isolation level, read only, row factory)")
        elif self._is_suspicious and self._knows_session:
            now = self._read_session()
            self._is_suspicious = False
            left += [
                name if name.startswith(("advisory", "temporary", "prepared", "cursor")) else f"{name} ({value})"
                for name, value in sorted(now - self._session)
            ] + [f"{name} was reset" for name, _ in sorted(self._session - now) if name not in dict(now)]

    def _read_attributes(self) -> tuple[Any, ...]:
        raw = self._raw
        return (
            raw.autocommit,
            raw.isolation_level,
            raw.read_only,
            raw.deferrable,
            raw.row_factory,
            raw.prepare_threshold,
        )

    def _read_session(self) -> set[tuple[str, str]]:
        was_suspicious = self._is_suspicious
        with self._raw.cursor() as cursor:
            rows = set(map(tuple, cursor.execute(_STATE).fetchall()))
        if self._raw.pgconn.transaction_status != _IDLE:
            self._raw.rollback()
        self._is_suspicious = was_suspicious
        return rows


def _note_opened(connection: BaseDatabaseWrapper, **_: Any) -> None:
    opened: list[_Connection] | None = getattr(_of_thread, "opened", None)
    if opened is not None:
        opened[:] = [each for each in opened if not each.is_closed]
        opened.append(_Connection(connection))


def _noting(factory: type[Any], connection: _Connection) -> type[Any]:
    """Return a subclass of the cursor class that passes each statement to `connection.note`."""

    class NotingCursor(factory):  # type: ignore[misc]
        def execute(self, query: Any, *args: Any, **options: Any) -> Any:
            connection.note(query)
            return super().execute(query, *args, **options)

        def executemany(self, query: Any, *args: Any, **options: Any) -> Any:
            connection.note(query)
            return super().executemany(query, *args, **options)

        def stream(self, query: Any, *args: Any, **options: Any) -> Any:
            connection.note(query)
            return super().stream(query, *args, **options)

        def copy(self, statement: Any, *args: Any, **options: Any) -> Any:
            connection.note(statement)
            return super().copy(statement, *args, **options)

    return NotingCursor
