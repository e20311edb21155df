"""Consume: programs pull executions of a group. What they say of them then is in settling.

A group whose action is `pull` is served by no worker: its due timers are fired by the claim of whoever comes for them,
with the code by which workers fire. What is claimed stays the consumer's until its lease ends; then it is shown again.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, partial
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Exists, OuterRef
from django.db.models.expressions import RawSQL

from timers import clock, conf
from timers.actions.pull import PullAction
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
"""Timers that are fired at once where not all of them are for who comes."""


@dataclass(frozen=True, slots=True)
class Message:
    """One execution that a consumer has claimed."""

    execution: str
    token: str
    """Proves the claim: needed to commit, discard or extend."""
    expires_at: datetime
    envelope: dict[str, Any]


def claim(
    group: str, consumer: str, *, limit: int = 1, lease: Duration = 30.0, subscription: str | None = None
) -> list[Message]:
    """Claim up to `limit` due executions of a group for `lease` seconds, the oldest first within a priority.

    `subscription`: only those for that subscription of the group; None: those of the group itself. Raises TimerNotFound
    for an unknown group or subscription, NotAllowedNow for one whose action is not `pull`, InvalidRequest for a limit
    beyond 1 to 1,000 and a lease beyond 1 second to 12 hours. What is paused has nothing to claim.
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
    # A lease that ends by a clock that has stepped says nothing of its consumer, and what looks due may not be.
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
        # What cannot be read has failed, and is in nobody's way: there may be more behind it.
        if (len(fit) == len(taken) and not is_computed) or len(messages) >= limit:
            break
    return messages


@dataclass(slots=True)
class _Look:
    """What one look for executions left to be computed."""

    left: list[Work] = field(default_factory=list)
    locks: bool = False
    """Whether rows were decided about, which stay locked until the transaction around the call is committed."""

    def compute(self, budget: CpuBudget, *, locks: bool) -> bool:
        """Compute it, or see that it is computed when no row is locked any more; returns whether some is computed now.

        What the budget does not allow is left to the next call.
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
    """This process's, for all consumers that it serves."""
    return ClockWatch(conf.current(), f"web process {os.getpid()} on {socket.gethostname()}")


_known: Final[dict[int, ServedGroup]] = {}
"""Groups by their ids, as they were last read."""


def _served(row: TimerGroup) -> ServedGroup:
    known = _known.get(row.id)
    if known is None or known.version != row.version:
        (known,) = served([row])
        _known[row.id] = known
    return known


def _ordinals(group: ServedGroup, subscription: str | None) -> list[int]:
    """Whose executions are claimed: 0 for the group's own, or that subscription's first; none while it is paused."""
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
                # Of what a group with subscriptions fires, much may be for others.
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
                    # What does not run any more stands before what does.
                    moved, _ = skip_unclaimed(group, shard, priority, now_us, left=look.left)
                    look.locks |= moved > 0
    # A timer that makes up for what it missed fires more than once.
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
