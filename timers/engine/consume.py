"""Consume: programs pull executions of a group. acknowledge.py has commit, discard and extend.

No worker serves a group whose action is `pull`: a consumer's claim fires the due timers, with the code that workers
use. Claimed executions belong to the consumer until its lease expires; then they become available again.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, partial
from typing import Any, Final

from django.db.models import Exists, OuterRef
from django.db.models.expressions import RawSQL

from timers import clock, conf
from timers.actions.pull import PullAction
from timers.database import connection, transaction
from timers.domain.names import check_name
from timers.engine.acknowledge import check_lease, token_of
from timers.engine.claim import claim_ready
from timers.engine.clock_step import ClockWatch, is_held
from timers.engine.cpu_budget import CpuBudget, budget_of_group
from timers.engine.execution import Consumer, Execution, ServedGroup, fire_of, served
from timers.engine.finish import finish
from timers.engine.fire import fire_due
from timers.engine.outcome import impossible
from timers.engine.release import release
from timers.engine.rescue import rescue_expired
from timers.engine.subscribers import peers
from timers.engine.take_within import Work, compute_unlocked
from timers.engine.unclaimed import skip_unclaimed
from timers.exceptions import InvalidRequest, NotAllowedNow, TimerNotFound
from timers.models import ClusterPause, TimerGroup
from timers.models.cluster_pause import EVERYWHERE
from timers.schedules.duration import Duration
from timers.schedules.instant import from_microseconds, to_microseconds

MAX_CLAIMED: Final = 1000
_ROUNDS: Final = 20
_SOME: Final = 100
"""Timers fired at once where not all of them are for the claiming consumer."""


@dataclass(frozen=True, slots=True)
class Message:
    """One execution that a consumer has claimed."""

    execution: str
    token: str
    """Proof of the claim: required to commit, discard or extend."""
    expires_at: datetime
    envelope: dict[str, Any]


def claim(
    group: str, consumer: str, *, limit: int = 1, lease: Duration = 30.0, subscription: str | None = None
) -> list[Message]:
    """Claim up to `limit` due executions of a group for `lease` seconds, oldest first within a priority.

    Nothing is claimed from what is paused.

    Args:
        group: name of the group.
        consumer: name of the consumer.
        limit: 1 to 1,000.
        lease: 1 second to 12 hours.
        subscription: claim only executions for this subscription of the group; None: those of the group itself.

    Raises:
        TimerNotFound: the group or subscription does not exist.
        NotAllowedNow: the action of the group or subscription is not `pull`.
        InvalidRequest: limit or lease is out of range.
    """
    holder = Consumer(check_name("consumer", consumer), check_lease(lease))
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_CLAIMED:
        raise InvalidRequest("limit", f"must be a whole number from 1 to {MAX_CLAIMED:,}", given=limit)
    paused = Exists(ClusterPause.objects.filter(partition__in=[EVERYWHERE, OuterRef("partition")]))
    held: RawSQL = RawSQL(is_held("timers_now()"), ())  # noqa: S611 - constant text
    row = TimerGroup.objects.annotate(partition_is_paused=paused, is_held=held).filter(name=group).first()
    if row is None:
        raise TimerNotFound(f"there is no group {group!r}")
    pulled = _served(row)
    ordinals = _ordinals(pulled, subscription)
    if row.partition_is_paused or row.state != TimerGroup.State.ACTIVE or not ordinals:
        return []
    reading = clock.read()
    # After a clock step an expired lease does not prove that its consumer is gone, and due timers may not be due.
    if row.is_held or (not reading.is_virtual and _clock_watch().stepped(reading.now, reading.sent, reading.received)):
        return []
    now_us = to_microseconds(reading.now)
    rescue_expired(now_us)
    messages: list[Message] = []
    budget = CpuBudget()
    for _ in range(_ROUNDS):
        look = _Look()
        taken = _take(holder, pulled, row, now_us, limit - len(messages), ordinals, look)
        fit = _messages(holder, taken, now_us)
        messages += fit
        is_computed = look.compute(budget, locks=bool(messages))
        # Unreadable executions have failed and block nothing: there may be more behind them.
        if (len(fit) == len(taken) and not is_computed) or len(messages) >= limit:
            break
    return messages


@dataclass(slots=True)
class _Look:
    """What one look for executions left to be computed."""

    left: list[Work] = field(default_factory=list)
    locks: bool = False
    """Whether rows were decided about; they stay locked until the enclosing transaction is committed."""

    def compute(self, budget: CpuBudget, *, locks: bool) -> bool:
        """Compute it, or schedule it for after the commit that unlocks the rows; return whether any is computed now.

        Work beyond the budget is left to the next call.
        """
        if not self.left or budget.is_spent:
            return False
        work = partial(compute_unlocked, self.left, budget)
        if connection.in_atomic_block and (locks or self.locks):
            transaction.on_commit(work)
            return False
        work()
        return True


@cache
def _clock_watch() -> ClockWatch:
    """Return this process's clock watch, shared by all its consumers."""
    return ClockWatch(conf.current(), f"web process {os.getpid()} on {socket.gethostname()}")


_known: Final[dict[int, ServedGroup]] = {}
"""Groups by id, as last read."""


def _served(row: TimerGroup) -> ServedGroup:
    known = _known.get(row.id)
    if known is None or known.version != row.version:
        (known,) = served([row])
        _known[row.id] = known
    return known


def _ordinals(group: ServedGroup, subscription: str | None) -> list[int]:
    """Return whose executions to claim: 0 for the group's own, or the subscription's first; none while it is paused."""
    if subscription is not None:
        found = [each for each in group.subscribers if each.name == subscription]
        if not found:
            raise TimerNotFound(f"there is no subscription {subscription!r} in group {group.name!r}")
        if not found[0].is_pulled:
            raise NotAllowedNow(f"subscription {subscription!r} is served by workers; its action must be pull")
        return peers(group.subscribers, found[0]) if found[0].is_active else []
    if not isinstance(group.action, PullAction):
        pulled = ", ".join(each.name for each in group.subscribers if each.is_pulled)
        if pulled:
            raise NotAllowedNow(f"group {group.name!r} is consumed by its subscriptions; say by which: {pulled}")
        raise NotAllowedNow(f"group {group.name!r} is served by workers; its action must be pull to be consumed")
    return [0]


def _take(
    holder: Consumer,
    group: ServedGroup,
    row: TimerGroup,
    now_us: int,
    limit: int,
    ordinals: list[int],
    look: _Look,
) -> list[Execution]:
    taken = claim_ready(holder, group, now_us=now_us, horizon_us=now_us, limit=limit, of=ordinals)
    for priority in sorted(row.timer_priorities, reverse=True):
        for shard in range(max(row.shards, row.probed_shards)):
            for _ in range(_ROUNDS):
                if len(taken) >= limit:
                    break
                # Many of the fires of a group with subscriptions may be for others.
                some = max(limit - len(taken), _SOME) if group.subscribers else limit - len(taken)
                fired = fire_due(
                    holder, group, shard, priority,
                    now_us=now_us, horizon_us=now_us, limit=some, takes=ordinals[:1],
                    budget=budget_of_group(), left=look.left,
                )  # fmt: skip
                look.locks |= fired.rows > 0
                taken += fired.executions
                if not fired.more or not fired.rows:
                    break
                if not group.subscribers and not fired.executions:
                    # Finished work is in front of work that still runs.
                    moved, _ = skip_unclaimed(group, shard, priority, now_us, left=look.left)
                    look.locks |= moved > 0
    # A timer that makes up for missed instants fires more than once.
    release(holder, taken[limit:], now_us)
    return taken[:limit]


def _messages(holder: Consumer, executions: Sequence[Execution], now_us: int) -> list[Message]:
    poison = [impossible(each, each.poison, now_us) for each in executions if each.poison]
    if poison:
        finish(holder, poison, now_us)
    expires_at = from_microseconds(now_us + round(holder.lease * 1_000_000))
    return [
        Message(each.id, token_of(each.fence), expires_at, fire_of(each, holder.node, now_us).envelope())
        for each in executions
        if not each.poison
    ]
