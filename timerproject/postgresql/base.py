"""PostgreSQL as Django knows it, except that a kept connection is found alive by its socket instead of by a statement.

Django asks `SELECT 1` before each request: a round trip, which is a tenth of what it costs to create a timer. A server
that has gone, restarted or ended the session has closed the socket, or said something on it; keepalives close it where
the network is gone (database.py). So where nothing has come, the connection is as it was left.
"""

from __future__ import annotations

import select

from django.db.backends.postgresql import base
from psycopg.pq import TransactionStatus


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's connection with a cheaper look at whether it is alive."""

    def is_usable(self) -> bool:
        """Whether the connection can be used; where its socket leaves that open, a statement tells."""
        return self._is_quiet() or bool(super().is_usable())

    def _is_quiet(self) -> bool:
        connection = self.connection
        if connection is None or connection.closed or self.errors_occurred:
            return False
        if connection.info.transaction_status != TransactionStatus.IDLE:
            return False
        look = select.poll()
        look.register(connection.fileno(), select.POLLIN)
        return not look.poll(0)
