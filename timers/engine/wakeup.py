"""Wake-up: tell workers of what is due before their next poll. A hint only; polling is the truth.

Sent inside the transaction that makes the work, so it arrives with the commit and never before.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection

from timers import conf

WAKE_CHANNEL: Final = "timers_wake"
REVOKE_CHANNEL: Final = "timers_revoke"
PUBLISHED_SECONDS: Final = 1.0
"""How long what the nodes publish is taken as known."""
_LOOK_AHEAD: Final = """
SELECT COALESCE(max(look_ahead), 0) FROM timers_node
WHERE state IN ('starting', 'active', 'standby', 'draining') AND listens AND lease_expires_at > timers_now()
"""


def wake_if_soon(instants: list[datetime], now: datetime) -> None:
    """Wake the workers when one of the instants comes before any node's next look; later ones are found by polling.

    A node whose poll interval is longer than this process's looks later: each publishes how far ahead it looks.
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
    """Tell workers of executions in their claims that they are asked to end."""
    if conf.current().notify:
        # 8,000 bytes is the most that a notification carries: 37 for each id.
        for start in range(0, len(executions), 200):
            _notify(REVOKE_CHANNEL, ",".join(executions[start : start + 200]))


@dataclass(slots=True)
class _Published:
    """What the nodes last published, as this process knows it."""

    look_ahead: float = 0.0
    """Seconds that the node which looks farthest claims ahead, of those that NOTIFY wakes."""
    read_at: float = -math.inf
    """time.monotonic()."""


_published: Final = _Published()


def forget_nodes() -> None:
    """Ask the database for the nodes' look-ahead at the next wake-up."""
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
