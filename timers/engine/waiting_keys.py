"""Waiting keys: waiting executions have the limit key of their timer, to find those of keys with room.

The timer's key decides what may be claimed. The key of the waiting execution only helps to find it. It may differ
because the timer was changed concurrently or an older version wrote it; a claim that finds such a key corrects it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from timers.database import connection
from timers.engine.arrays import plain_array

_OF_TIMERS: Final = """
UPDATE timers_waiting w SET limit_key = t.limit_key
FROM timers_timer t
WHERE w.timer_id = ANY(%s::bigint[]) AND t.id = w.timer_id AND w.limit_key IS DISTINCT FROM t.limit_key
  AND w.id = ANY(ARRAY(SELECT id FROM timers_waiting WHERE timer_id = ANY(%s::bigint[]) ORDER BY id FOR UPDATE))
"""
# The search for work waits for no lock; a later look corrects what another transaction has locked.
_RIGHT: Final = """
UPDATE timers_waiting w SET limit_key = t.limit_key
FROM timers_timer t
WHERE w.id = ANY(ARRAY(SELECT id FROM timers_waiting WHERE id = ANY(%s::uuid[]) ORDER BY id FOR UPDATE SKIP LOCKED))
  AND t.id = w.timer_id
"""


def follow_keys(timers: Iterable[int]) -> None:
    """Set the keys of locked timers' waiting executions to the timers' current keys."""
    ids = plain_array(timers)
    if ids == "{}":
        return
    with connection.cursor() as cursor:
        cursor.execute(_OF_TIMERS, (ids, ids))


def set_right(executions: Iterable[str]) -> None:
    """Set the keys of waiting executions to those of their timers, without waiting for locked rows."""
    with connection.cursor() as cursor:
        cursor.execute(_RIGHT, (plain_array(executions),))
