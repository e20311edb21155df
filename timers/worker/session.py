"""Guards on the engine's own database sessions: a worker that freezes or is cut off must not hold locks for long."""

from __future__ import annotations

from typing import Final

from django.db import connection

from timers.server.settings import guard_sessions

GUARDS: Final = {
    # A process frozen inside a transaction (a handler that keeps the interpreter, a suspended machine).
    "idle_in_transaction_session_timeout": "5s",
    "lock_timeout": "3s",
    "statement_timeout": "15s",
    # Whatever a role says: a listener or a heartbeat between two beats is not forgotten.
    "idle_session_timeout": "0",
}


class GuardedSession:
    """Guards each new connection of its thread; handlers' own connections are left alone."""

    def ensure(self) -> None:
        """Connect where needed. Behind a pooler in transaction mode nothing is set: the session is strangers' too."""
        guard_sessions(GUARDS)
        connection.ensure_connection()
