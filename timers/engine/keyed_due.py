"""Keyed due: find the due timers that the limits by key allow, even behind any number of timers of full keys.

The earliest due timers are looked at first. If there are so many that possibly only full keys were found, the keys are
walked one by one in their index: a key costs one probe, whatever its backlog. Of very many keys one look walks only a
stretch, and the next look continues after it.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from timers.database import connection
from timers.domain.limit_keys import NO_KEY
from timers.engine.allowance import Allowance
from timers.engine.arrays import plain_array, text_array
from timers.engine.execution import KeyWalk
from timers.engine.rekey import give_keys
from timers.schedules.instant import from_microseconds

WINDOW: Final = 500
"""Number of due timers that are looked at first."""
KEYS: Final = 1000
"""Number of keys that one look walks."""
REST: Final = 4
"""A walk that found nothing is followed by a rest of this many times its own length."""
STRAYS_SECONDS: Final = 60.0
"""Seconds between two looks of a process for timers or executions without a key behind those of full keys.

Such a look reads everything that is due, or ready.
"""
STRAYS: Final = 2000
"""How many get their keys at once."""

_PART: Final = "t.group_id = %(group)s AND t.shard = %(shard)s AND t.priority = %(priority)s AND t.state = 'active'"
_IS_DUE: Final = "t.next_fire_at <= %(horizon)s AND (t.open_execution IS NULL OR t.next_fire_at <= %(now)s)"
_IS_TAKEN: Final = """
 AND CASE WHEN t.action IS NULL THEN %(handler)s ELSE COALESCE(t.action->>'handler', '') END <> ALL(%(leave)s::text[])
"""
"""The same handlers as due_timer.handler_of returns."""
_EARLIEST: Final = f"""
SELECT t.id, t.limit_key FROM timers_timer t WHERE {_PART} AND {_IS_DUE}{{takes}}
ORDER BY t.next_fire_at LIMIT %(window)s
"""
_OF_KEYS: Final = f"""
WITH RECURSIVE walked AS (
    (SELECT t.limit_key AS key, 1 AS number FROM timers_timer t
     WHERE {_PART} AND t.limit_key IS NOT NULL AND {{begin}} ORDER BY t.limit_key LIMIT 1)
    UNION ALL
    SELECT (SELECT t.limit_key FROM timers_timer t
            WHERE {_PART} AND t.limit_key IS NOT NULL AND t.limit_key > w.key ORDER BY t.limit_key LIMIT 1),
           w.number + 1
    FROM walked w WHERE w.key IS NOT NULL
), keys AS MATERIALIZED (SELECT key, number FROM walked WHERE key IS NOT NULL LIMIT {KEYS})
SELECT k.number, k.key, d.id, d.next_fire_at
FROM keys k
LEFT JOIN unnest(%(keys)s::text[], %(rooms)s::int[]) AS r(key, room) ON r.key = k.key
LEFT JOIN LATERAL (
    SELECT t.id, t.next_fire_at FROM timers_timer t
    WHERE {_PART} AND t.limit_key = k.key AND {_IS_DUE}{{takes}}
    ORDER BY t.next_fire_at LIMIT COALESCE(r.room, %(room)s)) d ON true
"""
_STRAYS: Final = f"SELECT t.id FROM timers_timer t WHERE {_PART} AND {_IS_DUE} AND t.limit_key IS NULL LIMIT {STRAYS}"


@dataclass(slots=True)
class KeyedDue:
    """What may be claimed of one part."""

    ids: list[Any]
    """Ids of timers, or of waiting executions."""
    more: bool = False
    """Whether there may be more that may be claimed."""
    rest_seconds: float = 0.0
    """How much longer the walk rests; above 0, nothing was looked for."""
    has_written: bool = False
    """Whether keys were written: of timers, or of executions from their timers."""


def keyed_due(
    allowance: Allowance,
    shard: int,
    priority: int,
    *,
    now_us: int,
    horizon_us: int,
    limit: int,
    leave: Collection[str] = (),
    spare: int = 1,
) -> KeyedDue:
    """Find up to `limit` due timers of a part that the limits by key allow; they are not locked yet.

    The caller has the allowance of the group, so no other claim takes them.

    Args:
        allowance: the allowance of the group.
        shard: the shard of the part.
        priority: the priority of the part.
        now_us: microseconds by the group's clock.
        horizon_us: microseconds by the group's clock.
        limit: number of timers.
        leave: handlers whose timers are left.
        spare: how many timers are found for each one that a key has room for: if the first are only skipped, the others
            may be claimed.
    """
    group = allowance.group
    params: dict[str, Any] = {
        "group": group.id,
        "shard": shard,
        "priority": priority,
        "now": from_microseconds(now_us),
        "horizon": from_microseconds(horizon_us),
        "window": max(limit, WINDOW),
        "handler": "" if group.subscribers else group.handler,
        "leave": list(leave),
    }
    takes = _IS_TAKEN if leave else ""
    with connection.cursor() as cursor:
        cursor.execute(_EARLIEST.format(takes=takes), params)
        rows = cursor.fetchall()
    is_all = len(rows) < params["window"]
    given: dict[int, str] = {}
    if nameless := [timer for timer, key in rows if key is None]:
        given = give_keys(group, nameless)
        rows = [(timer, key) for timer, own in rows if (key := given.get(timer, own)) is not None]
    ids = [rows[number][0] for number in allowance.fitting([key for _, key in rows], spare, limit)]
    if ids or is_all:
        # Where there are further rows, the next look finds what is left of these when the first are claimed.
        return KeyedDue(ids[:limit], more=len(ids) > limit or (bool(ids) and not is_all), has_written=bool(given))
    found = walk_keys(allowance, (shard, priority), _OF_KEYS.replace("{takes}", takes), params, limit, spare)
    found.has_written = bool(given)
    if not found.ids and not found.more and _give_strays_keys(allowance, (shard, priority), params):
        found.more, found.rest_seconds, found.has_written = True, 0.0, True
        group.key_walks.pop((shard, priority), None)
    return found


def may_look_for_strays(allowance: Allowance, place: tuple[int, int]) -> bool:
    """Return whether this process may look for timers or executions without a key in this place of the walk again."""
    looked, now = allowance.group.strays_looked_at, time.monotonic()
    if now - looked.get(place, -STRAYS_SECONDS) < STRAYS_SECONDS:
        return False
    looked[place] = now
    return True


def _give_strays_keys(allowance: Allowance, place: tuple[int, int], params: dict[str, Any]) -> bool:
    """Give keys to due timers without one, which the walk does not find; return whether there were any."""
    if not may_look_for_strays(allowance, place):
        return False
    with connection.cursor() as cursor:
        cursor.execute(_STRAYS, params)
        strays = [timer for (timer,) in cursor.fetchall()]
    if len(strays) == STRAYS:
        del allowance.group.strays_looked_at[place]
    return bool(strays and give_keys(allowance.group, strays))


def walk_keys(
    allowance: Allowance, place: tuple[int, int], statement: str, params: dict[str, Any], limit: int, spare: int
) -> KeyedDue:
    """Find what may be claimed by walking through the keys in their index, one stretch per call.

    Args:
        allowance: the allowance of the group.
        place: key of the walk in the group's `key_walks`.
        statement: selects number and key of each key with room, and id and instant of its due rows; `{begin}` stands
            where the condition on the first key is inserted.
        params: parameters of the statement, except those of the keys.
        limit: maximum number of results.
        spare: how many are found for each one that a key has room for.
    """
    walks = allowance.group.key_walks
    walk = walks.get(place)
    if walk is None or walk.rests_until:
        if walk is not None and (rest_seconds := walk.rests_until - time.monotonic()) > 0:
            return KeyedDue([], rest_seconds=rest_seconds)
        walk = walks[place] = KeyWalk(time.monotonic())
    known = {*allowance.claimed_by_key, *allowance.arrivals_by_key, NO_KEY}
    params = params | {
        "keys": text_array(known),
        "rooms": plain_array(min(allowance.room_of(key) * spare, limit) for key in known),
        "room": min(allowance.room_of_idle * spare, limit),
        "after": walk.after,
    }
    begin = "true" if walk.after is None else "limit_key > %(after)s"
    with connection.cursor() as cursor:
        cursor.execute(statement.format(begin=begin), params)
        walked = cursor.fetchall()
    found = sorted((at, each) for _, _, each, at in walked if each is not None)
    last, key = max(((number, key) for number, key, _, _ in walked), default=(0, ""))
    walk.has_found |= bool(found)
    if last == KEYS:
        walk.after = key
    elif walk.has_found:
        del walks[place]
    else:
        now = time.monotonic()
        walk.rests_until = now + REST * (now - walk.began_at)
    return KeyedDue([each for _, each in found[:limit]], more=walk.has_found or last == KEYS)
