"""Pauses that end by themselves."""

from __future__ import annotations

from datetime import datetime

from timers.database import connection
from timers.engine.events import record
from timers.engine.group_clock import group_now
from timers.engine.wakeup import wake_if_soon

_NOW = "%(now)s::timestamptz"
_GROUP_NOW = group_now(_NOW)
_RESUME_TIMERS = f"""
UPDATE timers_timer SET state = 'active', state_reason = '', state_changed_by = '', state_changed_at = %(now)s,
       paused_until = NULL, version = version + 1
WHERE id = ANY(ARRAY(SELECT t.id FROM timers_timer t JOIN timers_timer_group g ON g.id = t.group_id
                     WHERE t.state = 'paused' AND t.paused_until <= {_GROUP_NOW}
                     ORDER BY t.id LIMIT 1000 FOR NO KEY UPDATE OF t SKIP LOCKED))
RETURNING name
"""

_RESUME_GROUPS = f"""
UPDATE timers_timer_group SET state = 'active', state_reason = '', state_changed_by = '', state_changed_at = %(now)s,
       paused_until = NULL, version = version + 1
WHERE id = ANY(ARRAY(SELECT g.id FROM timers_timer_group g
                     WHERE g.state = 'paused' AND g.paused_until <= {_GROUP_NOW}
                     ORDER BY g.id LIMIT 1000 FOR UPDATE SKIP LOCKED))
RETURNING name
"""


def seconds_to_resume(now: str) -> str:
    """Return SQL for the seconds from the instant `now` (SQL) until the first pause ends by itself; NULL: none does.

    A frozen clock is moved by a person, which wakes nobody here: the next regular pass finds the pauses that are over.
    """
    at = group_now(now)
    return f"""
extract(epoch FROM least(
    (SELECT min(t.paused_until - {at}) FROM timers_timer t JOIN timers_timer_group g ON g.id = t.group_id
     WHERE t.state = 'paused' AND t.paused_until IS NOT NULL
       AND (g.clock_frozen_at IS NULL OR t.paused_until <= {at})),
    (SELECT min(g.paused_until - {at}) FROM timers_timer_group g
     WHERE g.state = 'paused' AND (g.clock_frozen_at IS NULL OR g.paused_until <= {at}))))::float
"""


def resume_elapsed(now: datetime) -> float | None:
    """Resume timers and groups whose pause is over; return the seconds until the next one ends, None: none does.

    A pause ends by the clock of its group; `now` is by the database clock. Instants missed meanwhile follow the misfire
    policy, as after a manual resume. Every node does this, and skips rows that another one has locked.
    """
    seconds = _seconds_to_next(now)
    if seconds is None or seconds > 0:
        return seconds
    with connection.cursor() as cursor:
        for what, statement in (("timer", _RESUME_TIMERS), ("group", _RESUME_GROUPS)):
            cursor.execute(statement, {"now": now})
            for (name,) in cursor.fetchall():
                record(f"{what} resumed", "", f"{name}: its pause is over", now)
                wake_if_soon([now], now)
    return _seconds_to_next(now)


def _seconds_to_next(now: datetime) -> float | None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {seconds_to_resume(_NOW)}", {"now": now})
        (seconds,) = cursor.fetchone()
    return None if seconds is None else max(0.0, float(seconds))
