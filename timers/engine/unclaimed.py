"""Unclaimed: skip what must not run any more in pulled groups, even while no consumer claims.

The claim of a consumer fires the due timers of such a group. What its policies skip (past max_lateness, misfire,
overlap, exclusion calendars) must not wait for one: any node records it, in limited batches; locks prevent duplicates.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from timers import clock
from timers.database import connection, transaction
from timers.engine.cpu_budget import budget_of_group
from timers.engine.due_timer import lock_due
from timers.engine.execution import Consumer, ServedGroup, served
from timers.engine.fire_batch import Batch
from timers.engine.group_clock import group_now
from timers.engine.take_within import Work, compute_unlocked, take_within
from timers.models import TimerGroup
from timers.models.cluster_pause import is_paused
from timers.models.due_index import IN_PART, PARTS
from timers.schedules.instant import from_microseconds, to_microseconds

LOOKED_AT: Final = 500
"""Maximum number of timers that one transaction decides about."""
REST: Final = 20
"""A pass is followed by a pause of this many times its own length: it uses 5 % of a thread at most."""
INTERVAL: Final = 1.0
"""Least number of seconds between two passes."""
_NOBODY: Final = Consumer("nobody")
"""The holder for batches that claim nothing."""

Part = tuple[int, int, int]
"""A group's id, and a shard and a priority of its timers."""
Place = tuple[datetime, int]
"""Next instant and id of a timer: where a pass over a part ended."""

_PULLED_WITH_DUE: Final = f"""
FROM timers_timer_group g CROSS JOIN {PARTS}
WHERE g.state = 'active' AND g.worker_ordinals IS NULL AND g.action ->> 'kind' = 'pull'
  AND NOT {is_paused("g.partition")}
  AND EXISTS (SELECT 1 FROM timers_timer t WHERE {IN_PART} AND t.next_fire_at <= {{group_now}})
"""
_PARTS: Final = f"""
SELECT g.id, g.version, s.shard, p.priority {_PULLED_WITH_DUE.format(group_now=group_now("%(now)s::timestamptz"))}
ORDER BY g.id, s.shard, p.priority
"""

# Decide only about timers that a policy may skip: most due ones just wait for their consumer.
_MAY_BE_SKIPPED: Final = """
SELECT t.id, t.next_fire_at FROM timers_timer t
WHERE t.group_id = %(group)s AND t.shard = %(shard)s AND t.priority = %(priority)s AND t.state = 'active'
  AND t.next_fire_at <= %(now)s AND (t.next_fire_at, t.id) > (%(after_at)s, %(after_id)s)
  AND (t.next_fire_at <= %(certain)s OR t.open_execution IS NOT NULL OR t.overrides IS NOT NULL)
ORDER BY t.next_fire_at, t.id LIMIT %(limit)s
"""


def has_unclaimed(now: str) -> str:
    """Return SQL that tests whether any pulled group has due timers at the instant `now` (SQL)."""
    return f"EXISTS (SELECT 1 {_PULLED_WITH_DUE.format(group_now=group_now(now))})"


def unclaimed_parts(now: datetime) -> list[tuple[Part, int]]:
    """Return the parts of pulled groups with due timers, and their groups' versions; `now`: by the database clock."""
    with connection.cursor() as cursor:
        cursor.execute(_PARTS, {"now": now})
        return [((group, shard, priority), version) for group, version, shard, priority in cursor.fetchall()]


def skip_unclaimed(
    group: ServedGroup,
    shard: int,
    priority: int,
    now_us: int,
    *,
    after: Place | None = None,
    limit: int = LOOKED_AT,
    left: list[Work] | None = None,
) -> tuple[int, Place | None]:
    """Skip due timers of one part as the policies require, in one transaction.

    Args:
        group: the group.
        shard: a shard of its timers.
        priority: a priority of its timers.
        now_us: the current instant of the database clock in microseconds since 1970 UTC.
        after: where an earlier pass ended; None: start from the earliest.
        limit: maximum number of timers that are decided about.
        left: receives what must be computed first, without a lock; None: it is computed here, after the commit.

    Returns:
        The number of timers that were advanced; and where this pass ended, None if it reached the end.
    """
    present_us = group.clock.at(now_us)
    with transaction.atomic():
        found = _may_be_skipped(group, shard, priority, present_us, after, limit)
        if not found:
            return 0, None
        ids = [row[0] for row in found]
        rows = lock_due(group, shard, priority, now_us=present_us, horizon_us=present_us, limit=limit, ids=ids)
        batch, budget = Batch(group, present_us, (), leave_fires=True), budget_of_group()
        taken = take_within(budget, group, rows, batch)
        batch.write(_NOBODY, now_us)
        if not batch.moved:
            transaction.set_rollback(True)  # an enclosing transaction would keep the locks
    if left is None:
        compute_unlocked(taken.left, budget)
    else:
        left += taken.left
    if taken.last is not None and taken.last is not rows[-1]:
        return batch.moved, (taken.last.next_fire_at, taken.last.id)
    last_id, last_at = found[-1]
    return batch.moved, (last_at, last_id) if len(found) == limit else None


@dataclass(slots=True)
class UnclaimedTimers:
    """Passes over all pulled groups, one transaction each, and their positions."""

    _known: dict[int, ServedGroup] = field(default_factory=dict)
    _places: dict[Part, Place] = field(default_factory=dict)
    _turn: int = 0

    def step(self) -> float | None:
        """Make one pass over one part; return the seconds to wait, None when nothing is due in pulled groups."""
        began = time.monotonic()
        now = clock.now()
        parts = unclaimed_parts(now)
        if not parts:
            self._places.clear()
            return None
        self._learn(parts)
        self._turn += 1
        (group, shard, priority), _ = parts[self._turn % len(parts)]
        part = group, shard, priority
        if group in self._known:
            _, place = skip_unclaimed(
                self._known[group], shard, priority, to_microseconds(now), after=self._places.pop(part, None)
            )
            if place is not None:
                self._places[part] = place
        least = INTERVAL if part not in self._places else 0.0
        return max(REST * (time.monotonic() - began), least / len(parts))

    def _learn(self, parts: Sequence[tuple[Part, int]]) -> None:
        changed = {
            group
            for (group, _, _), version in parts
            if group not in self._known or self._known[group].version != version
        }
        if changed:
            self._known |= {group.id: group for group in served(TimerGroup.objects.filter(id__in=changed))}


def _may_be_skipped(
    group: ServedGroup, shard: int, priority: int, present_us: int, after: Place | None, limit: int
) -> list[Any]:
    """Return ids and instants of due timers that a policy may skip, earliest first."""
    present = from_microseconds(present_us)
    after_at, after_id = after or ("-infinity", 0)
    with connection.cursor() as cursor:
        cursor.execute(
            _MAY_BE_SKIPPED,
            {
                "group": group.id,
                "shard": shard,
                "priority": priority,
                "now": present,
                "after_at": after_at,
                "after_id": after_id,
                "certain": _skipped_before(group, present),
                "limit": limit,
            },
        )
        return list(cursor.fetchall())


def _skipped_before(group: ServedGroup, present: datetime) -> datetime | str:
    """Return the instant up to which the group's policies may skip timers without overrides."""
    policies = group.policies
    if policies.exclusion_calendars:
        return present
    after = [] if policies.max_lateness is None else [policies.max_lateness]
    if policies.misfire_policy == "skip":
        after.append(policies.misfire_grace)
    try:
        return present - timedelta(seconds=min(after)) if after else "-infinity"
    except OverflowError:
        return "-infinity"
