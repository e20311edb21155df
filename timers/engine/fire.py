"""Fire: take due timers, decide, move them on and claim their occurrences, in one transaction.

The number of statements is the same whatever the batch: lock and read, move the one-shots, move the others, insert one
claim, insert the skipped ones into the ledger; and a few more where timers queue or replace. Where a group has limits,
and what is due is only skipped, there are several such rounds: what is skipped uses up no limit.
"""

from __future__ import annotations

from collections.abc import Collection

from django.db import transaction

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

    Instants are microseconds since 1970 UTC. `low_us`: skip the dead entries at the head of the index below it.
    `unserved`: handlers whose timers are left for nodes that know them (None: whoever calls needs no handler); those
    that are met are added. `takes`: the subscriptions whose executions are claimed (None: what workers take); those of
    others are made ready for them. Timers due after `now_us` are claimed ahead; one whose execution before is not ended
    is left until its instant has come. `watched_since_us`: since when somebody has looked at the group without a break
    (None: all the time); what came due before was missed. `budget`: the CPU time that recurring timers may cost; the
    rest stays due. What takes long (new schedules are parsed, what a long outage missed is counted) is computed after
    the commit, and decided about by the next call. `left`: takes that, for whoever is within a transaction of his own.
    `leading`: the leadership without which nothing is fired; what came due before it was missed.
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
            rows = locked if unserved is None else [row for row in locked if not unserved.leaves(row.action)]
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
            transaction.set_rollback(True)  # a transaction around this one would keep the locks
    if left is None:
        compute_unlocked(computing, budget)
    else:
        left += computing
    return fired
