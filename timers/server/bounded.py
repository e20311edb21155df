"""A separate connection whose statements complete in time, or fail."""

from __future__ import annotations

from math import ceil
from typing import Any, Final

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.abc import RV, PQGen

SHORTEST_CONNECT_SECONDS: Final = 2
"""The shortest connection timeout of libpq in seconds, whatever is set."""


def bounded_copy(connection: BaseDatabaseWrapper, seconds: float) -> BaseDatabaseWrapper:
    """Return an unconnected copy on which no statement waits longer than `seconds`; after a failure, close it.

    The client enforces the limit: behind a pooler a statement may wait for a session of the server, which does not know
    about it. The limit also applies to statements that Django sends when it connects.
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
