"""Group limits: how many executions of a group may be claimed now, counted from its live claims, and when they start.

Only groups that set a limit are locked here. The lock comes first and the count after it, in a statement of its own:
so the count sees what every earlier holder of the lock has claimed, and no two claims go beyond a limit together.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection

from timers import conf
from timers.domain.rates import Arrivals
from timers.lifecycle.execution import AnyHolder, Consumer, Execution, ServedGroup
from timers.lifecycle.wakeup import wake_workers
from timers.schedules.instant import from_microseconds, to_microseconds

MANY: Final = 1_000_000_000
BUSY_US: Final = 20_000
"""Until the next look (microseconds), where another claim of the group was under way."""
# Creations of timers, which refer to the group, go on meanwhile.
_LOCK: Final = "SELECT 1 FROM timers_timer_group WHERE id = %s FOR NO KEY UPDATE"
_STATE: Final = """
SELECT timers_now(),
       (SELECT COALESCE(sum(cardinality(executions)), 0) FROM timers_claim WHERE group_id = %(group)s),
       (SELECT tat FROM timers_rate_state WHERE group_id = %(group)s AND key = '')
"""
_SAVE: Final = """
INSERT INTO timers_rate_state (group_id, key, tat) VALUES (%s, '', %s)
ON CONFLICT (group_id, key) DO UPDATE SET tat = excluded.tat
"""
_COMING: Final = """
SELECT next_fire_at FROM timers_timer
WHERE group_id = %s AND shard = %s AND priority = %s AND state = 'active' AND next_fire_at > %s AND next_fire_at <= %s
ORDER BY next_fire_at LIMIT 1
"""


@dataclass(slots=True)
class Allowance:
    """What the limits of a group let this transaction claim. Instants are microseconds by the database's clock."""

    group: ServedGroup
    most: int
    """How many more executions."""
    now_us: int = 0
    horizon_us: int = 0
    """What is claimed may start up to this instant."""
    arrivals: Arrivals | None = None
    """The state of the group's rate, where it has one."""
    is_known: bool = True
    """Whether the limits could be asked: no other claim of the group was under way."""

    @property
    def rest_until_us(self) -> int | None:
        """When to ask again, however many executions end before; None: when one ends."""
        if not self.is_known:
            return self.now_us + BUSY_US
        if self.arrivals is None or self.arrivals.room(self.now_us, self.horizon_us) > 0:
            return None
        # Half of what is claimed ahead is left by then: no slot of the rate is lost between two looks.
        ahead_us = (self.horizon_us - self.now_us) // 2
        return max(self.arrivals.next_us(self.now_us) - ahead_us, self.now_us + BUSY_US)

    def take(self, execution: Execution) -> bool:
        """Count one that is to be claimed, and set when it may start; whether it may be claimed."""
        if self.most < 1:
            return False
        self.most -= 1
        if self.arrivals is not None:
            execution.not_before_us = self.arrivals.take(self.now_us)
        return True

    def save(self) -> None:
        """Write what was taken; the claims tell the rest."""
        if self.arrivals is not None:
            _save(self.group, self.arrivals)


def hold_allowance(group: ServedGroup, holder: AnyHolder, now_us: int, horizon_us: int) -> Allowance:
    """Lock a group that has limits until the transaction ends, and find what they allow.

    Workers do not wait for a claim of the group under way, and are allowed nothing then; a consumer, which has asked
    for this group, waits. Instants as the caller knows them, in microseconds by the database's clock.
    """
    limits, ahead_us = group.limits, horizon_us - now_us
    with connection.cursor() as cursor:
        cursor.execute(_LOCK if isinstance(holder, Consumer) else f"{_LOCK} SKIP LOCKED", (group.id,))
        if cursor.fetchone() is None:
            return Allowance(group, 0, now_us, horizon_us, is_known=False)
        cursor.execute(_STATE, {"group": group.id})
        now, claimed, tat = cursor.fetchone()
    now_us = to_microseconds(now)
    allowance = Allowance(group, MANY, now_us, now_us + ahead_us)
    if limits.max_concurrency is not None:
        allowance.most = max(limits.max_concurrency - claimed, 0)
    if limits.max_rate is not None:
        allowance.arrivals = _arrivals(group, now_us, tat)
        allowance.most = min(allowance.most, allowance.arrivals.room(now_us, allowance.horizon_us))
    return allowance


def _arrivals(group: ServedGroup, now_us: int, tat: datetime | None) -> Arrivals:
    assert group.limits.max_rate is not None
    arrivals = Arrivals(group.limits.max_rate, group.limits.max_rate.burst(group.max_batch))
    if tat is not None:
        # What lies farther ahead than anybody claims comes from a clock that has stepped.
        farthest_us = round(conf.LONGEST_LOOK_AHEAD * 1_000_000) + (arrivals.burst + 1) * arrivals.rate.interval_us
        arrivals.tat_us = min(to_microseconds(tat), now_us + farthest_us)
        if arrivals.tat_us != to_microseconds(tat):
            _save(group, arrivals)
    return arrivals


def _save(group: ServedGroup, arrivals: Arrivals) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_SAVE, (group.id, from_microseconds(arrivals.tat_us)))


def coming_us(group: ServedGroup, shard: int, priority: int, now_us: int, until_us: int) -> list[int]:
    """The instant of the next timer of a part after `now_us`, at most `until_us`; all by the database's clock."""
    shift_us = group.clock.at(now_us) - now_us
    after, until = from_microseconds(now_us + shift_us), from_microseconds(group.clock.horizon(now_us, until_us))
    with connection.cursor() as cursor:
        cursor.execute(_COMING, (group.id, shard, priority, after, until))
        return [to_microseconds(at) - shift_us for (at,) in cursor.fetchall()]


def wake_for_room(executions: Iterable[Execution]) -> None:
    """Wake the workers where executions that left their claims make room within the limits of their groups."""
    if any(execution.group.limits.is_concurrent for execution in executions):
        wake_workers()
