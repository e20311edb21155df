"""Fire: lock due timers, decide, advance them and claim their occurrences, in one transaction.

The number of statements does not depend on the batch size: lock and read, advance the one-shots, advance the others,
insert one claim, insert the skipped ones into the ledger; and a few more where timers queue or replace. Where a group
has limits and due instants are only skipped, there are several such rounds: skipped instants do not count towards
limits.
"""

from __future__ import annotations

from collections.abc import Collection

from timers.database import transaction
from timers.engine.cpu_budget import CpuBudget
from timers.engine.due_timer import lock_due
from timers.engine.execution import AnyHolder, Leading, ServedGroup
from timers.engine.fire_batch import Batch
from timers.engine.fired import Fired
from timers.engine.group_lock import has_changed
from timers.engine.limited_look import ROUNDS, look_within_limits
from timers.engine.take_within import Work, compute_unlocked, take_within
from timers.engine.unserved import Unserved


def fire_due(
    holder: AnyHolder,
    group: ServedGroup,
    shard: int,
    priority: int = 0,
    *,
    now_us: int,
    horizon_us: int,
    limit: int,
    low_us: int | None = None,
    unserved: Unserved | None = None,
    takes: Collection[int] | None = None,
    watched_since_us: int | None = None,
    budget: CpuBudget | None = None,
    leading: Leading | None = None,
    left: list[Work] | None = None,
) -> Fired:
    """Fire up to `limit` timers of a group's shard and priority whose instant is at or before the horizon.

    Instants are microseconds since 1970 UTC. Timers due after `now_us` are claimed ahead; one whose previous execution
    is open is left until its instant has come. Slow computations (parsing new schedules, counting what a long outage
    missed) run after the commit, and the next call decides with their results.

    Args:
        holder: the worker or consumer.
        group: the group.
        shard: a shard of its timers.
        priority: a priority of its timers.
        now_us: the current instant by the database clock.
        horizon_us: the end of the look-ahead.
        limit: number of timers.
        low_us: skip the dead entries at the head of the index below this instant.
        unserved: handlers whose timers are left for nodes that know them; those encountered are added. None: the caller
            needs no handler.
        takes: subscriptions whose executions are claimed; executions of others are made ready. None: those that workers
            take.
        watched_since_us: since when someone has looked at the group without a break; what came due before was missed.
            None: always.
        budget: CPU time for recurring timers; the rest stays due.
        leading: the leadership without which nothing is fired; what came due before it was missed.
        left: receives the slow computations instead, for a caller within its own transaction.
    """
    if leading is not None:
        watched_since_us = max(watched_since_us or 0, leading.since_us)
    real_us, ahead_us = now_us, horizon_us
    now_us, horizon_us = group.clock.at(now_us), group.clock.horizon(now_us, horizon_us)
    fired, computing, decided, looked = Fired(), list[Work](), 0, False
    with transaction.atomic():
        look = None
        if group.limits:
            look = look_within_limits(
                group, holder, shard, priority, real_us=real_us, ahead_us=ahead_us, now_us=now_us, horizon_us=horizon_us
            )
            horizon_us = look.horizon_us
        for number in range(1 if look is None else ROUNDS):
            leave = () if unserved is None else unserved.known_with(group)
            wanted = limit - len(fired.executions)
            rows_limit = wanted if look is None else look.find(wanted, leave)
            if rows_limit < 1:
                break
            locked = lock_due(
                group, shard, priority, now_us=now_us, horizon_us=horizon_us, limit=rows_limit, low_us=low_us,
                leave=leave, ids=None if look is None else look.ids, leading=leading,
            )  # fmt: skip
            fired.more, looked = False, look is not None or bool(locked)
            if not locked:
                fired.is_stale = not number and has_changed(group)
                break
            rows = locked
            if unserved is not None:
                rows = [row for row in locked if row.action is None or not unserved.leaves(row.action)]
            batch = Batch(
                group, now_us, group.for_workers(leave) if takes is None else takes,
                group.watched_since(watched_since_us), None if look is None else look.allowance,
                None if look is None else wanted,
            )  # fmt: skip
            taken = take_within(budget, group, rows, batch, goes_on=number > 0)
            batch.write(holder, real_us)
            decided, computing = decided + taken.rows, taken.left
            fired.more = taken.rows < len(locked) or len(locked) == rows_limit
            fired.left += len(locked) - len(rows)
            fired.last_us, fired.computed = taken.last_us, len(taken.left)
            batch.tell(fired, now_us - real_us)
            if look is None or not look.goes_on(batch, taken, len(rows), len(locked) == rows_limit):
                break
            if fired.is_full or (budget is not None and not budget.may_hold_locks):
                break
        fired.rows = decided
        if look is not None:
            look.allowance.save()
            look.note(fired)
        if looked and not decided and not (look is not None and look.has_written):
            transaction.set_rollback(True)  # an enclosing transaction would keep the locks
    if left is None:
        compute_unlocked(computing, budget)
    else:
        left += computing
    return fired
