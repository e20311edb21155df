"""Reshard: move the timers of a group to shards by a new number of shards, while they fire.

A change of the number is only recorded: new timers go to the new shards from then on, and all shards that may contain
timers, old and new, are probed. Any node moves the others in batches, by name. A program that read the old number may
still insert a timer by it later, so old shards are probed for some more time, and later inspected occasionally.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from timers.database import connection, transaction
from timers.domain.shards import shard_of
from timers.engine.arrays import plain_array
from timers.models import TimerGroup

BATCH: Final = 500
"""Number of timers that one transaction moves."""
SETTLE_SECONDS: Final = 60.0
"""Seconds after the change for which old shards are probed at least."""
HAS_MOVES: Final = "EXISTS (SELECT 1 FROM timers_timer_group m WHERE m.moved_to_shards_up_to IS NOT NULL)"
"""SQL: whether timers of any group must be moved."""

_NEXT_GROUP: Final = """
SELECT id, shards, moved_to_shards_up_to FROM timers_timer_group
WHERE moved_to_shards_up_to IS NOT NULL ORDER BY id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
"""
_NEXT_TIMERS: Final = """
SELECT id, name, shard FROM timers_timer
WHERE group_id = %s AND state IN ('active', 'paused') AND name > %s ORDER BY name LIMIT %s
"""
_MOVE: Final = """
UPDATE timers_timer t SET shard = u.shard
FROM (SELECT l.id, m.shard FROM (SELECT id FROM timers_timer WHERE id = ANY(%(ids)s::bigint[]) ORDER BY id
                                 FOR NO KEY UPDATE) l
      JOIN unnest(%(ids)s::bigint[], %(shards)s::int[]) AS m(id, shard) ON m.id = l.id) u
WHERE t.id = u.id
"""
_AFTER: Final = "UPDATE timers_timer_group SET moved_to_shards_up_to = %s WHERE id = %s"
_MOVED: Final = "UPDATE timers_timer_group SET moved_to_shards_up_to = NULL, version = version + 1 WHERE id = %s"
_HAS_LEFT_BEHIND: Final = """
EXISTS (SELECT 1 FROM timers_timer t WHERE t.group_id = g.id AND t.state = 'active' AND t.shard >= g.shards)
"""
_MOVE_AGAIN: Final = f"""
UPDATE timers_timer_group g SET moved_to_shards_up_to = '', version = version + 1,
       probed_shards = 1 + (SELECT max(shard) FROM timers_timer t
                            WHERE t.group_id = g.id AND t.state = 'active' AND t.shard >= g.shards)
WHERE g.id = ANY(ARRAY(SELECT id FROM timers_timer_group g WHERE g.moved_to_shards_up_to IS NULL AND {_HAS_LEFT_BEHIND}
                       ORDER BY id FOR NO KEY UPDATE SKIP LOCKED))
"""
_PROBE_NO_LONGER: Final = f"""
UPDATE timers_timer_group g SET probed_shards = shards, version = version + 1
WHERE g.id = ANY(ARRAY(SELECT id FROM timers_timer_group g
                       WHERE g.moved_to_shards_up_to IS NULL AND g.probed_shards > g.shards AND NOT {_HAS_LEFT_BEHIND}
                         AND g.updated_at < timers_now() - %s * INTERVAL '1 second'
                       ORDER BY id FOR NO KEY UPDATE SKIP LOCKED))
"""


@dataclass(frozen=True, slots=True)
class Moved:
    """Result of one batch."""

    timers: int
    """Number of timers whose shard changed."""
    is_last: bool
    """Whether all timers of the group are in their new shards now."""


def note_change(group: TimerGroup, before: int) -> None:
    """Schedule the move of a locked group's timers, whose `shards` changed from `before`; the caller saves it."""
    group.probed_shards = max(before, group.probed_shards, group.shards)
    group.moved_to_shards_up_to = ""


def move_batch() -> Moved | None:
    """Move the next timers of a group; return None when there is none, or other nodes work on all of them."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_NEXT_GROUP)
        found = cursor.fetchone()
        if found is None:
            return None
        group_id, shards, after = found
        cursor.execute(_NEXT_TIMERS, (group_id, after, BATCH))
        rows = cursor.fetchall()
        wrong = [(id_, shard_of(name, shards)) for id_, name, shard in rows if shard != shard_of(name, shards)]
        if wrong:
            ids, new = zip(*wrong, strict=True)
            cursor.execute(_MOVE, {"ids": plain_array(ids), "shards": plain_array(new)})
        is_last = len(rows) < BATCH
        cursor.execute(*((_MOVED, (group_id,)) if is_last else (_AFTER, (rows[-1][1], group_id))))
    return Moved(len(wrong), is_last)


def look_for_left_behind() -> None:
    """Schedule the move of timers inserted by an old number, and stop probing shards that are permanently empty."""
    with connection.cursor() as cursor:
        cursor.execute(_MOVE_AGAIN)
        cursor.execute(_PROBE_NO_LONGER, (SETTLE_SECONDS,))
