"""Keyed ready: find the ready executions that the limits by key allow, as keyed_due does for due timers.

The earliest are looked at first, by the keys of their timers. If there are so many that possibly only full keys were
found, the keys are walked one by one in the index of the executions' own keys.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from timers.database import connection
from timers.engine import keyed_due
from timers.engine.allowance import Allowance
from timers.engine.keyed_due import KEYS, STRAYS, KeyedDue, may_look_for_strays, walk_keys
from timers.engine.rekey import give_keys
from timers.engine.waiting_keys import set_right
from timers.schedules.instant import from_microseconds

_PLACE: Final = -1
"""Takes the place of a shard in walks through the keys of ready executions."""

_READY: Final = "w.group_id = %(group)s AND w.subscription = %(ordinal)s AND w.state = 'ready'"
_IS_TAKEN: Final = """
 AND CASE WHEN w.handler IS NOT NULL THEN w.handler WHEN t.action IS NULL THEN %(handler)s
          ELSE COALESCE(t.action->>'handler', '') END <> ALL(%(leave)s::text[])
"""
"""The same handlers as due_timer.handler_of returns."""
_EARLIEST: Final = f"""
SELECT w.id::text, t.limit_key, w.limit_key IS DISTINCT FROM t.limit_key, COALESCE(t.state, 'cancelled') = 'cancelled',
       t.id
FROM timers_waiting w LEFT JOIN timers_timer t ON t.id = w.timer_id
WHERE {_READY} AND w.available_at <= %(horizon)s AND w.id <> ALL(%(seen)s::uuid[]){{takes}}
ORDER BY w.available_at LIMIT %(window)s
"""
_OF_KEYS: Final = f"""
WITH RECURSIVE walked AS (
    (SELECT w.limit_key AS key, 1 AS number FROM timers_waiting w
     WHERE {_READY} AND w.limit_key IS NOT NULL AND {{begin}} ORDER BY w.limit_key LIMIT 1)
    UNION ALL
    SELECT (SELECT w.limit_key FROM timers_waiting w
            WHERE {_READY} AND w.limit_key IS NOT NULL AND w.limit_key > k.key ORDER BY w.limit_key LIMIT 1),
           k.number + 1
    FROM walked k WHERE k.key IS NOT NULL
), keys AS MATERIALIZED (SELECT key, number FROM walked WHERE key IS NOT NULL LIMIT {KEYS})
SELECT k.number, k.key, d.id::text, d.available_at
FROM keys k
LEFT JOIN unnest(%(keys)s::text[], %(rooms)s::int[]) AS r(key, room) ON r.key = k.key
LEFT JOIN LATERAL (
    SELECT w.id, w.available_at FROM timers_waiting w{{joined}}
    WHERE {_READY} AND w.limit_key = k.key AND w.available_at <= %(horizon)s AND w.id <> ALL(%(seen)s::uuid[]){{takes}}
    ORDER BY w.available_at LIMIT COALESCE(r.room, %(room)s)) d ON true
"""
_STRAYS: Final = f"""
SELECT w.id::text, t.id, t.limit_key IS NULL FROM timers_waiting w JOIN timers_timer t ON t.id = w.timer_id
WHERE {_READY} AND w.available_at <= %(horizon)s AND w.limit_key IS NULL LIMIT {STRAYS}
"""


def keyed_ready(
    allowance: Allowance,
    ordinal: int,
    *,
    horizon_us: int,
    limit: int,
    seen: Collection[str] = (),
    leave: Collection[str] = (),
    spare: int = 1,
) -> KeyedDue:
    """Find up to `limit` ready executions that the limits by key allow, and early ones whose timers are gone.

    The caller has the allowance of the group, so no other claim takes them; they are not locked yet.

    Args:
        allowance: the allowance of the group.
        ordinal: the subscription whose executions are found; 0: the group's own.
        horizon_us: latest instant of availability, by the group's clock (microseconds).
        limit: maximum number of executions.
        seen: executions that are left.
        leave: handlers whose executions are left.
        spare: how many are found for each one that a key has room for: the first may not be able to run now.
    """
    group = allowance.group
    takes = _IS_TAKEN if leave and not ordinal else ""
    params: dict[str, Any] = {
        "group": group.id,
        "ordinal": ordinal,
        "horizon": from_microseconds(horizon_us),
        "window": max(limit, keyed_due.WINDOW),
        "seen": list(seen),
        "handler": "" if group.subscribers else group.handler,
        "leave": list(leave),
    }
    with connection.cursor() as cursor:
        cursor.execute(_EARLIEST.format(takes=takes), params)
        rows = cursor.fetchall()
    nameless = {timer for _, key, _, is_over, timer in rows if key is None and not is_over}
    given = give_keys(group, nameless) if nameless else {}
    if strays := [each for each, _, is_stray, is_over, timer in rows if not is_over and (is_stray or timer in given)]:
        set_right(strays)
    over = [execution for execution, _, _, is_over, _ in rows if is_over]
    living = [
        (execution, key) for execution, own, _, is_over, timer in rows
        if not is_over and (key := given.get(timer, own)) is not None
    ]  # fmt: skip
    ids = [living[place][0] for place in allowance.fitting([key for _, key in living], spare, limit)]
    is_all = len(rows) < params["window"]
    if over or ids or is_all:
        # Where there are further rows, the next look finds what is left of these when the first are claimed.
        is_more = bool(over) or len(ids) > limit or (bool(ids) and not is_all)
        return KeyedDue([*over, *ids[:limit]], more=is_more, has_written=bool(strays))
    joined = " LEFT JOIN timers_timer t ON t.id = w.timer_id" if takes else ""
    statement = _OF_KEYS.replace("{takes}", takes).replace("{joined}", joined)
    found = walk_keys(allowance, (_PLACE, ordinal), statement, params, limit, spare)
    found.has_written = bool(strays)
    if not found.ids and not found.more and _give_strays_keys(allowance, ordinal, params):
        found.more, found.rest_seconds, found.has_written = True, 0.0, True
        allowance.group.key_walks.pop((_PLACE, ordinal), None)
    return found


def _give_strays_keys(allowance: Allowance, ordinal: int, params: dict[str, Any]) -> bool:
    """Give executions without a key, which the walk does not find, those of their timers; return whether any had none.

    They come from older versions, and from claims made before the group limited by key. Looking for them reads all
    ready executions, so it is done rarely.
    """
    place = _PLACE, ordinal
    if not may_look_for_strays(allowance, place):
        return False
    with connection.cursor() as cursor:
        cursor.execute(_STRAYS, params)
        strays = cursor.fetchall()
    if len(strays) == STRAYS:
        del allowance.group.strays_looked_at[place]
    nameless = {timer for _, timer, is_nameless in strays if is_nameless}
    given = give_keys(allowance.group, nameless) if nameless else {}
    found = [execution for execution, timer, is_nameless in strays if not is_nameless or timer in given]
    if found:
        set_right(found)
    return bool(found)
