"""Read one timer with its group, by name or id, and the instant at which it was read."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from timers.database import connection
from timers.models.group import TimerGroup
from timers.models.rows import columns, made, width
from timers.models.timer import Timer

_BOTH: Final = f"SELECT {columns(Timer, 't')}, {columns(TimerGroup, 'g')}, timers_now()"
_JOINED: Final = "FROM timers_timer t JOIN timers_timer_group g ON g.id = t.group_id"
_BY_NAME: Final = f"""
{_BOTH} {_JOINED} WHERE g.name = %s AND t.name = %s
ORDER BY CASE WHEN t.state IN ('active', 'paused') THEN 0 ELSE 1 END, t.id DESC LIMIT 1
"""
_BY_ID: Final = f"{_BOTH} {_JOINED} WHERE t.id = %s"


def find_timer(group: str, name: str) -> tuple[Timer, datetime] | None:
    """Return the timer of that name (the active or paused one, else the last ended one), and the database's now."""
    return _read(_BY_NAME, (group, name))


def timer_of_id(timer_id: int) -> tuple[Timer, datetime] | None:
    """Return the timer of that id, and the database's now."""
    return _read(_BY_ID, (timer_id,))


def _read(statement: str, params: tuple[Any, ...]) -> tuple[Timer, datetime] | None:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        row = cursor.fetchone()
    if row is None:
        return None
    timer = made(Timer, row)
    timer.group = made(TimerGroup, row[width(Timer) :])
    return timer, row[-1]
