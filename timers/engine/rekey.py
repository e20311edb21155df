"""Rekey: recompute the limit keys of a group's timers when the group starts, stops or changes to limit by key."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection
from typing import Any, Final

from timers.database import connection
from timers.domain.limit_keys import NO_KEY
from timers.domain.limits import Limits
from timers.domain.payload import UnreadablePayload, decode, storable
from timers.engine.arrays import plain_array, text_array
from timers.engine.execution import ServedGroup
from timers.engine.waiting_keys import follow_keys
from timers.models import TimerGroup

BATCH: Final = 2000
# Bits 18 to 61 of an execution id are the id of its timer.
_UNDER_WAY: Final = f"""
SELECT timer_id FROM timers_waiting WHERE group_id = %(group)s AND timer_id IS NOT NULL
UNION
SELECT (('x' || right(replace(e.id::text, '-', ''), 16))::bit(64)::bigint >> 18) & {(1 << 44) - 1}
FROM timers_claim c, unnest(c.executions) AS e(id) WHERE c.group_id = %(group)s
ORDER BY 1
"""
_LIVING: Final = """
SELECT id FROM timers_timer WHERE group_id = %s AND id > %s AND state IN ('active', 'paused') ORDER BY id LIMIT %s
"""
_LOCK: Final = """
SELECT id, concurrency_key, limit_key, payload::text FROM timers_timer
WHERE group_id = %s AND id = ANY(%s::bigint[]) ORDER BY id FOR NO KEY UPDATE
"""
_LOCK_ALL: Final = """
SELECT count(*) FROM (
    SELECT 1 FROM timers_timer WHERE group_id = %s AND (state IN ('active', 'paused') OR id = ANY(%s::bigint[]))
    ORDER BY id FOR NO KEY UPDATE) locked
"""
_LOCK_NAMELESS: Final = """
SELECT id, concurrency_key, payload::text FROM timers_timer
WHERE id = ANY(%s::bigint[]) AND limit_key IS NULL ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
"""
_SET: Final = """
UPDATE timers_timer t SET limit_key = u.limit_key FROM unnest(%s::bigint[], %s::text[]) AS u(id, limit_key)
WHERE t.id = u.id
"""


def lock_keyed(group: TimerGroup) -> None:
    """Lock the timers whose keys rekey sets, before claims as the lock order requires."""
    with connection.cursor() as cursor:
        cursor.execute(_UNDER_WAY, {"group": group.id})
        under_way = plain_array(timer for (timer,) in cursor.fetchall())
        cursor.execute(_LOCK_ALL, (group.id, under_way))


def rekey(group: TimerGroup) -> int:
    """Set the keys of a locked group's timers that are alive or have executions in progress; return how many changed.

    Their waiting executions get the same keys. Claimed executions keep their key; their retries get the new one. It
    takes some seconds for 100,000 timers.
    """
    limits = group.limits()
    after = changed = 0
    with connection.cursor() as cursor:
        cursor.execute(_UNDER_WAY, {"group": group.id})
        under_way = [timer for (timer,) in cursor.fetchall()]
        while True:
            cursor.execute(_LIVING, (group.id, after, BATCH))
            living = [timer for (timer,) in cursor.fetchall()]
            place = bisect_right(under_way, after)
            ids = sorted({*living, *under_way[place : place + BATCH]})[:BATCH]
            if not ids:
                return changed
            after = ids[-1]
            cursor.execute(_LOCK, (group.id, plain_array(ids)))
            keys = {}
            for timer, own, key, payload in cursor.fetchall():
                wanted = _key_of(limits, own, payload)
                if wanted != key:
                    keys[timer] = wanted
            if keys:
                cursor.execute(_SET, (plain_array(keys), text_array(keys.values())))
                follow_keys(keys)
                changed += len(keys)


def give_keys(group: ServedGroup, timers: Collection[int]) -> dict[int, str]:
    """Set the keys of timers without one, in a group that limits by key; return these keys by timer.

    Such timers were written while the group began to limit by key, by a transaction that did not see that and was
    committed after rekey. This waits for no lock: a timer that another session has locked gets its key at a later look.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_NAMELESS, (plain_array(timers),))
        keys = {timer: _key_of(group.limits, own, payload) for timer, own, payload in cursor.fetchall()}
        given = {timer: key for timer, key in keys.items() if key is not None}
        if given:
            cursor.execute(_SET, (plain_array(given), text_array(given.values())))
    return given


def _key_of(limits: Limits, own: str | None, payload: str | None) -> str | None:
    """Return the key of a stored timer; NO_KEY if its payload is unreadable or its key cannot be stored."""
    value: Any = None
    if payload is not None and limits.key_path is not None and own is None:
        try:
            value = decode(payload)
        except UnreadablePayload:
            value = None
    key = limits.key_of(own, value)
    return NO_KEY if key is not None and key != storable(key) else key
