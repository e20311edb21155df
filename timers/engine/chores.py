"""Chores: what housekeeping has to do now, found by one query.

Each module that does a chore defines an SQL condition for it. This module evaluates all of them in one statement, so
that an idle node makes few transactions.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from timers.database import connection
from timers.engine.clock_step import IS_VIRTUAL, is_held
from timers.engine.leadership import NEEDS_LEADER
from timers.engine.operations import HAS_OPERATIONS
from timers.engine.orders.holds import HAS_BLOCKED
from timers.engine.orders.releasing import HAS_RELEASES, has_deadlines
from timers.engine.pauses import seconds_to_resume
from timers.engine.rescue import FIRST_CONSUMER_LEASE
from timers.engine.reshard import HAS_MOVES
from timers.engine.unclaimed import has_unclaimed
from timers.models.cluster_pause import is_paused

_PAUSED_CLAIMS: Final = f"""
CASE WHEN {is_paused("%(partition)s")} THEN ARRAY(
    SELECT c.id FROM timers_claim c JOIN timers_timer_group g ON g.id = c.group_id
    WHERE g.partition = %(partition)s AND c.node_id IS NOT NULL ORDER BY c.id)
ELSE '{{}}' END
"""
"""SQL: ids of the workers' claims in the partition (a parameter) while it is paused.

All of them, because any may be of a group that was not called back; no further one is made during the pause.
"""
_CHORES: Final = f"""
SELECT r.now, {IS_VIRTUAL}, {is_held("r.now")}, (SELECT s.at FROM timers_clock_step s),
       {NEEDS_LEADER}, {HAS_OPERATIONS} OR {HAS_MOVES} OR {HAS_RELEASES} OR {has_deadlines("r.now")}
       OR {HAS_BLOCKED},
       {has_unclaimed("r.now")},
       extract(epoch FROM {FIRST_CONSUMER_LEASE} - r.now)::float, {seconds_to_resume("r.now")},
       {_PAUSED_CLAIMS}
FROM (SELECT timers_now() AS now OFFSET 0) r
"""


@dataclass(frozen=True, slots=True)
class Chores:
    """The database clock, and what is due by it."""

    now: datetime
    is_virtual: bool
    """Whether a test or a simulation controls the clock."""
    is_held: bool
    """Whether a clock step suspends claims and rescue."""
    stepped_at: datetime | None
    """When the clock last stepped, by itself."""
    needs_leader: bool
    """Whether some node or group of the partition needs a leader (leadership.settle)."""
    has_operations: bool
    """Whether work is left in the background: operations, changes of shards, orders of chains.

    It is done by operations.carry_out, reshard.move_batch and the module orders.releasing.
    """
    has_unclaimed: bool
    """Whether a group that consumers pull has due timers (UnclaimedTimers)."""
    seconds_to_consumer_lease: float | None
    """Seconds until the first consumer lease expires, 0 or less: rescue.rescue_expired; None: there is none."""
    seconds_to_resume: float | None
    """Seconds until the first pause ends by itself, 0 or less: pauses.resume_elapsed; None: none does."""
    paused_claims: list[int]
    """Workers' claims in the partition while it is paused, started or not: cluster_pause.call_back_paused."""


def find_chores(partition: str) -> Chores:
    """Return what a node of the partition has to do in housekeeping now."""
    with connection.cursor() as cursor:
        cursor.execute(_CHORES, {"partition": partition})
        return Chores(*cursor.fetchone())
