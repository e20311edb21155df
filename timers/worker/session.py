"""Timeouts of the engine's own database sessions: a frozen or disconnected worker must not hold locks for long."""

from __future__ import annotations

from typing import Final

from timers.database import connection
from timers.server.settings import guard_sessions

GUARDS: Final = {
    # A process frozen inside a transaction (a handler that holds the interpreter lock, a suspended machine).
    "idle_in_transaction_session_timeout": "5s",
    "lock_timeout": "3s",
    "statement_timeout": "15s",
    # Overrides the role's setting: a listener, or a heartbeat between two beats, must not be disconnected.
    "idle_session_timeout": "0",
}


class GuardedSession:
    """Sets the timeouts on each new connection of its thread; handlers' own connections are not changed."""

    def ensure(self) -> None:
        """Connect if needed. Behind a pooler in transaction mode nothing is set, because others use the session too."""
        guard_sessions(GUARDS)
        connection.ensure_connection()
