"""Wake-up: notify workers of work that is due before their next poll. A hint only; polling is the truth.

Notifications are sent inside the transaction that creates the work, so they arrive with its commit and never before.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from timers import conf
from timers.database import connection

WAKE_CHANNEL: Final = "timers_wake"
REVOKE_CHANNEL: Final = "timers_revoke"
PUBLISHED_SECONDS: Final = 1.0
"""How many seconds the published look-ahead of the nodes is cached."""
_LOOK_AHEAD: Final = """
SELECT COALESCE(max(look_ahead), 0) FROM timers_node
WHERE state IN ('starting', 'active', 'standby', 'draining') AND listens AND lease_expires_at > timers_now()
"""


def wake_if_soon(instants: list[datetime], now: datetime) -> None:
    """Wake the workers if one of the instants comes before any node's next look; polling finds later ones.

    A node with a longer poll interval than this process looks later, so each node publishes its look-ahead.
    """
    if not instants:
        return
    settings, seconds = conf.current(), (min(instants) - now).total_seconds()
    is_soon_here = settings.notify and seconds <= settings.look_ahead
    if is_soon_here or (seconds <= conf.LONGEST_LOOK_AHEAD and seconds <= _look_ahead_of_nodes()):
        _notify(WAKE_CHANNEL, "")


def wake_workers() -> None:
    """Wake all workers: there is work for them now."""
    if conf.current().notify:
        _notify(WAKE_CHANNEL, "")


def tell_revoked(executions: Sequence[str]) -> None:
    """Notify workers that executions in their claims were revoked."""
    if conf.current().notify:
        # A notification carries at most 8,000 bytes; each id takes 37.
        for start in range(0, len(executions), 200):
            _notify(REVOKE_CHANNEL, ",".join(executions[start : start + 200]))


@dataclass(slots=True)
class _Published:
    """What the nodes last published, as this process knows it."""

    look_ahead: float = 0.0
    """Longest look-ahead in seconds of the nodes that NOTIFY wakes."""
    read_at: float = -math.inf
    """Time of the query, by time.monotonic()."""


_published: Final = _Published()


def forget_nodes() -> None:
    """Read the nodes' look-ahead from the database at the next wake-up."""
    _published.read_at = -math.inf


def _look_ahead_of_nodes() -> float:
    if time.monotonic() - _published.read_at >= PUBLISHED_SECONDS:
        with connection.cursor() as cursor:
            cursor.execute(_LOOK_AHEAD)
            (_published.look_ahead,) = cursor.fetchone()
        _published.read_at = time.monotonic()
    return _published.look_ahead


def _notify(channel: str, payload: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", (channel, payload))
