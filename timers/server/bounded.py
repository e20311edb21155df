"""A connection of its own whose statements are answered in time, or fail."""

from __future__ import annotations

from math import ceil
from typing import Any, Final

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.abc import RV, PQGen

SHORTEST_CONNECT_SECONDS: Final = 2
"""The shortest time that libpq waits for a connection, whatever is set."""


def bounded_copy(connection: BaseDatabaseWrapper, seconds: float) -> BaseDatabaseWrapper:
    """Return a copy that is not connected yet, and on which no statement waits longer; after a failure, close it.

    The bound is the client's own: behind a pooler a statement may wait for a session of the server, which knows nothing
    of it. What Django sends when it connects is bounded too.
    """
    copy = connection.copy()
    copy.settings_dict["OPTIONS"]["connect_timeout"] = max(SHORTEST_CONNECT_SECONDS, ceil(seconds))
    connect = copy.get_new_connection

    def get_new_connection(parameters: dict[str, Any]) -> psycopg.Connection[Any]:
        raw: psycopg.Connection[Any] = connect(parameters)
        _bound_waits(raw, seconds)
        return raw

    copy.get_new_connection = get_new_connection  # type: ignore[method-assign,assignment]
    return copy


def _bound_waits(connection: psycopg.Connection[Any], seconds: float) -> None:
    plain_wait = connection.wait

    def wait(gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        return plain_wait(gen, interval, seconds if timeout is None else min(timeout, seconds))

    connection.wait = wait  # type: ignore[method-assign]
