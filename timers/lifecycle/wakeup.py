"""Wake-up: tell workers of what is due before their next poll. A hint only; polling is the truth.

Sent inside the transaction that makes the work, so it arrives with the commit and never before.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db import connection

from timers import conf

WAKE_CHANNEL: Final = "timers_wake"
REVOKE_CHANNEL: Final = "timers_revoke"


def wake_if_soon(instants: list[datetime], now: datetime) -> None:
    """Wake the workers when one of the instants lies within their look-ahead; later ones are found by polling."""
    settings = conf.current()
    if settings.notify and any(at <= now + timedelta(seconds=settings.look_ahead) for at in instants):
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


def _notify(channel: str, payload: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", (channel, payload))
