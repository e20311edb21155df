"""Waiting keys: executions that wait have the limit key of their timer, by which those of keys with room are found.

The key of the timer decides what may be claimed. The one of the waiting execution only helps to find it: whoever comes
to one that differs, because its timer was changed at the same moment or an older version wrote it, sets it right.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from django.db import connection

from timers.engine.arrays import plain_array

_OF_TIMERS: Final = """
UPDATE timers_waiting w SET limit_key = t.limit_key
FROM timers_timer t
WHERE w.timer_id = ANY(%s::bigint[]) AND t.id = w.timer_id AND w.limit_key IS DISTINCT FROM t.limit_key
  AND w.id = ANY(ARRAY(SELECT id FROM timers_waiting WHERE timer_id = ANY(%s::bigint[]) ORDER BY id FOR UPDATE))
"""
# Who looks for work waits for nobody; what another transaction has is set right by a later look.
_RIGHT: Final = """
UPDATE timers_waiting w SET limit_key = t.limit_key
FROM timers_timer t
WHERE w.id = ANY(ARRAY(SELECT id FROM timers_waiting WHERE id = ANY(%s::uuid[]) ORDER BY id FOR UPDATE SKIP LOCKED))
  AND t.id = w.timer_id
"""


def follow_keys(timers: Iterable[int]) -> None:
    """Give what waits of locked timers the keys that these have now."""
    ids = plain_array(timers)
    if ids == "{}":
        return
    with connection.cursor() as cursor:
        cursor.execute(_OF_TIMERS, (ids, ids))


def set_right(executions: Iterable[str]) -> None:
    """Give executions that wait the keys of their timers, without waiting for anybody who has them locked."""
    with connection.cursor() as cursor:
        cursor.execute(_RIGHT, (plain_array(executions),))
