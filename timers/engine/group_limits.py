"""Group limits: how many executions may be claimed now, counted from the current claims, and when they start.

Only groups with a limit are locked here, by their limit lock (limit_lock.py). The lock is taken first, and the count
follows in a separate statement: it sees what every earlier holder of the lock has claimed, so concurrent claims never
exceed a limit together. That statement also locks the group's row as fires do, by the version with which the group was
read: the limits are current, and nobody changes the group while its rates are written.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, Final

from timers.database import connection
from timers.domain.limit_keys import NO_KEY
from timers.domain.rates import Rate
from timers.engine.allowance import BUSY_US, MANY, Allowance
from timers.engine.arrays import plain_array
from timers.engine.execution import AnyHolder, Consumer, Execution, ServedGroup
from timers.engine.limit_lock import hold_limits
from timers.engine.rate_states import read_states
from timers.engine.wakeup import wake_workers
from timers.schedules.instant import from_microseconds, to_microseconds

_CLAIMED: Final = """
SELECT timers_now(), (SELECT COALESCE(sum(cardinality(executions)), 0) FROM timers_claim WHERE group_id = %s),
       (SELECT version FROM timers_timer_group WHERE id = %s FOR KEY SHARE SKIP LOCKED)
"""
_CLAIMED_BY_KEY: Final = """
SELECT limit_key, sum(cardinality(executions)) FROM timers_claim WHERE group_id = %s AND limit_key IS NOT NULL
GROUP BY limit_key
"""
_COMING: Final = """
SELECT next_fire_at FROM timers_timer
WHERE group_id = %s AND shard = %s AND priority = %s AND state = 'active' AND next_fire_at > %s AND next_fire_at <= %s
ORDER BY next_fire_at LIMIT 1
"""

_READY_SOON: Final = """
SELECT min(r.available_at) FROM unnest(%s::int[]) AS o(ordinal), LATERAL (
    SELECT w.available_at FROM timers_waiting w
    WHERE w.group_id = %s AND w.subscription = o.ordinal AND w.state = 'ready'
      AND w.available_at > %s AND w.available_at <= %s
    ORDER BY w.available_at LIMIT 1) r
"""


def hold_allowance(group: ServedGroup, holder: AnyHolder, now_us: int, horizon_us: int) -> Allowance:
    """Take the limit lock of a group until the transaction ends, and return what its limits allow.

    Workers do not wait for another claim of the group in progress, and are allowed nothing then; a consumer, which has
    requested this group, waits. Nothing is allowed where the group has changed since it was read, or is being changed.

    Args:
        group: the group, with limits.
        holder: the worker or consumer.
        now_us: the current instant as the caller knows it, in microseconds by the database clock.
        horizon_us: the end of the look-ahead, likewise.
    """
    # If only overdue timers are taken, the horizon is in the past; what is claimed may still start now.
    limits, ahead_us = group.limits, max(horizon_us - now_us, 0)
    by_key: list[tuple[str, int]] = []
    unknown = Allowance(group, 0, now_us, horizon_us, is_known=False)
    if not hold_limits(group.id, wait=isinstance(holder, Consumer)):
        return unknown
    with connection.cursor() as cursor:
        cursor.execute(_CLAIMED, (group.id, group.id))
        now, claimed, version = cursor.fetchone()
        if version != group.version:
            return unknown
        if limits.max_concurrency_per_key is not None:
            cursor.execute(_CLAIMED_BY_KEY, (group.id,))
            by_key = cursor.fetchall()
    now_us = to_microseconds(now)
    allowance = Allowance(group, MANY, now_us, now_us + ahead_us, claimed_by_key=dict(by_key))
    if limits.max_concurrency is not None:
        allowance.most = max(limits.max_concurrency - claimed, 0)
    rates: dict[str, Rate] = {}
    if limits.max_rate is not None:
        rates[NO_KEY] = limits.max_rate
    if limits.is_rated:
        states = read_states(group, now_us, rates, limits.max_rate_per_key)
        allowance.arrivals = states.pop(NO_KEY, None)
        allowance.arrivals_by_key = {key[1:]: state for key, state in states.items()}
    if allowance.arrivals is not None:
        allowance.most = min(allowance.most, allowance.arrivals.room(now_us, allowance.horizon_us))
    return allowance


def coming_us(group: ServedGroup, shard: int, priority: int, now_us: int, until_us: int) -> list[int]:
    """Return the instant of the next timer of a part after `now_us`, at most `until_us`.

    Args:
        group: the group.
        shard: the shard of the part.
        priority: the priority of the part.
        now_us: microseconds by the database clock, as is the result.
        until_us: microseconds by the database clock.
    """
    return _looks_us(_COMING, (group.id, shard, priority), group, now_us, until_us)


def ready_soon_us(group: ServedGroup, ordinals: Collection[int], now_us: int, until_us: int) -> list[int]:
    """Return the instant of the next ready execution after `now_us`, at most `until_us`.

    These are retries, and runs that were delayed or snoozed.

    Args:
        group: the group.
        ordinals: the subscriptions whose executions count.
        now_us: microseconds by the database clock, as is the result.
        until_us: microseconds by the database clock.
    """
    return _looks_us(_READY_SOON, (plain_array(ordinals), group.id), group, now_us, until_us)


def _looks_us(statement: str, parameters: tuple[Any, ...], group: ServedGroup, now_us: int, until_us: int) -> list[int]:
    shift_us = group.clock.at(now_us) - now_us
    after, until = from_microseconds(now_us + shift_us), from_microseconds(group.clock.horizon(now_us, until_us))
    with connection.cursor() as cursor:
        cursor.execute(statement, (*parameters, after, until))
        return [to_microseconds(at) - shift_us for (at,) in cursor.fetchall() if at is not None]


def makes_room(
    executions: Iterable[Execution], as_known: Callable[[ServedGroup], ServedGroup] = lambda group: group
) -> bool:
    """Return whether executions that leave their claims make room within the limits of their groups.

    Args:
        executions: with their groups as they were at the claim.
        as_known: returns a group as last read.
    """
    group: ServedGroup | None = None
    for execution in executions:
        if execution.group is not group:
            # By far the most of a batch belong to one group.
            group = execution.group
            if as_known(group).limits.is_concurrent:
                return True
    return False


def wake_for_room(executions: Iterable[Execution], is_limited: bool) -> None:
    """Wake the workers if executions that left their claims make room within the limits of their groups.

    Args:
        executions: with their groups as they were at the claim.
        is_limited: whether groups have got limits since, from lock_claims.
    """
    if is_limited or makes_room(executions):
        wake_workers()


__all__ = ["BUSY_US", "Allowance", "coming_us", "hold_allowance", "makes_room", "ready_soon_us", "wake_for_room"]
