"""Django's PostgreSQL backend, except that a persistent connection is checked by its socket instead of a statement.

Django runs `SELECT 1` before each request: a round trip, a tenth of the cost of creating a timer. A server that has
stopped, restarted or ended the session has closed the socket, or written to it; keepalives close it if the network is
gone (database.py). So if there is nothing to read, the connection is usable.

With several hosts, a host whose server is refused (timers/server/identity.py) is omitted, and the others are tried.
"""

from __future__ import annotations

import select
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.backends.postgresql import base
from psycopg import OperationalError
from psycopg.pq import TransactionStatus

from timers.server import memory
from timers.server.identity import ServerRefused

# The embedded server has no standby: if it was created again, there is no old server.
memory.keep_in(None if settings.EMBEDDED_DATABASE else Path(settings.VAR))


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's connection with a cheaper liveness check, and support for several hosts."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._left_out: list[tuple[str, str]] = []

    def connect(self) -> None:
        """Connect to the first host whose server is not refused. Raises ServerRefused if there is no other."""
        self._left_out = []
        hosts = len(self._hosts(super().get_connection_params()))
        refusal: ServerRefused | None = None
        while True:
            try:
                super().connect()
                return
            except ServerRefused as refused:
                refusal = refused
                self._left_out.append((refused.host, refused.port))
                if hosts == len(self._left_out):
                    raise
            except OperationalError:
                # The reason why the other host is refused says more than that this one is unavailable.
                if refusal is None:
                    raise
                raise refusal from None

    def get_connection_params(self) -> dict[str, Any]:
        """Return Django's parameters without the hosts that are omitted."""
        params: dict[str, Any] = super().get_connection_params()
        if self._left_out:
            hosts = [each for each in self._hosts(params) if each not in self._left_out]
            params["host"] = ",".join(host for host, _ in hosts)
            params["port"] = ",".join(port for _, port in hosts)
        return params

    @staticmethod
    def _hosts(params: dict[str, Any]) -> list[tuple[str, str]]:
        hosts = str(params.get("host") or "").split(",")
        ports = str(params.get("port") or "5432").split(",")
        return list(zip(hosts, ports if len(ports) == len(hosts) else ports * len(hosts), strict=False))

    def is_usable(self) -> bool:
        """Return whether the connection can be used; if its socket does not tell, run a statement."""
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
