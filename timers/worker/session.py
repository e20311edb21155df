"""Guards on the engine's own database sessions: a worker that freezes or is cut off must not hold locks for long."""

from __future__ import annotations

from typing import Final

from django.db import connection

_GUARDS: Final = {
    # A process frozen inside a transaction (a handler that keeps the interpreter, a suspended machine).
    "idle_in_transaction_session_timeout": "5s",
    "lock_timeout": "3s",
    "statement_timeout": "15s",
}


class GuardedSession:
    """Sets the guards once on each new connection of its thread; handlers' own connections are left alone."""

    def __init__(self) -> None:
        self._guarded: object = None

    def ensure(self) -> None:
        """Connect where needed, and guard a connection that is new."""
        connection.ensure_connection()
        if self._guarded is not connection.connection:
            with connection.cursor() as cursor:
                cursor.execute("; ".join(f"SET {name} = '{value}'" for name, value in _GUARDS.items()))
            self._guarded = connection.connection
