"""Limited look: what a fire of a group with limits may take of one part, found under its limit lock.

A fire looks in rounds, each for more timers than the one before: what is only skipped uses up nothing of the limits,
and what comes after it is found by the same look.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from timers.engine.allowance import Allowance
from timers.engine.execution import AnyHolder, ServedGroup
from timers.engine.fire_batch import Batch
from timers.engine.fired import Fired
from timers.engine.group_limits import coming_us, hold_allowance
from timers.engine.keyed_due import WINDOW, keyed_due
from timers.engine.take_within import Taken

ROUNDS: Final = 10
GROWTH: Final = 4
"""How many times as many timers the next round looks at."""


@dataclass(slots=True)
class LimitedLook:
    """What may be fired of one part, and what the limits say of the rest. Instants are microseconds."""

    allowance: Allowance
    shard: int
    priority: int
    real_us: int
    """The present instant by the database's clock."""
    now_us: int
    """By the group's clock, as the horizon is."""
    horizon_us: int
    ids: list[int] | None = None
    """Only these timers; None: the earliest that are due."""
    more: bool = False
    """There are more that the limits by key allow."""
    looks_us: list[int] = field(default_factory=list)
    has_written: bool = False
    """Timers were given their limit keys."""
    _spare: int = 1
    """How many timers are looked at for each that may be claimed."""

    def find(self, wanted: int, leave: Collection[str]) -> int:
        """Find the timers of the next round; returns how many of them may be locked at most, 0: none.

        Args:
            wanted: how many executions.
            leave: handlers whose timers are left.
        """
        most = min(wanted, self.allowance.most)
        if most < 1:
            return 0
        spare, self._spare = self._spare, self._spare * GROWTH
        limit = max(most, min(most * spare, WINDOW))
        if not self.allowance.group.limits.is_keyed:
            return limit
        found = keyed_due(
            self.allowance, self.shard, self.priority,
            now_us=self.now_us, horizon_us=self.horizon_us, limit=limit, leave=leave, spare=spare,
        )  # fmt: skip
        self.ids, self.more = found.ids, found.more
        self.has_written |= found.has_written
        if found.ids:
            return limit
        if found.more or found.rest_seconds:
            self.looks_us.append(self.real_us + round(found.rest_seconds * 1_000_000))
        return 0

    def goes_on(self, batch: Batch, taken: Taken, rows: int, is_full: bool) -> bool:
        """Whether another round finds what this one has not: some of its timers were only skipped.

        Args:
            batch: what was decided in this round.
            taken: how far it came.
            rows: how many timers it could decide about.
            is_full: whether it had as many timers as it may have.
        """
        if taken.left or taken.rows + taken.passed < rows:
            return False
        fired = {execution.timer_id for execution in batch.executions}
        return taken.rows > len(fired) and (is_full or self.ids is not None)

    def note(self, fired: Fired) -> None:
        """Set in the answer of a fire that has taken what it may what the limits say of the rest."""
        fired.is_limited = self.allowance.most < 1 or (self.ids is not None and not self.more)
        fired.more = not fired.is_limited and (fired.more or self.more)
        fired.rest_until_us = self.allowance.rest_until_us
        fired.looks_us += [*self.looks_us, *self.allowance.looks_us()]


def look_within_limits(
    group: ServedGroup,
    holder: AnyHolder,
    shard: int,
    priority: int,
    *,
    real_us: int,
    ahead_us: int,
    now_us: int,
    horizon_us: int,
) -> LimitedLook:
    """Take the limit lock of a group until the transaction ends, and find what may be fired of one part.

    Args:
        group: that has limits.
        holder: who fires.
        shard: of the timers.
        priority: of the timers.
        real_us: the present instant by the database's clock, in microseconds.
        ahead_us: the horizon by the database's clock.
        now_us: the present instant by the group's clock.
        horizon_us: the horizon by the group's clock.
    """
    allowance = hold_allowance(group, holder, real_us, ahead_us)
    look = LimitedLook(allowance, shard, priority, real_us, now_us, horizon_us)
    if allowance.most > 0 and group.limits.is_rated:
        # What starts at a rate is not claimed ahead of its instant, which is looked at when it comes.
        look.horizon_us = min(now_us, horizon_us)
        look.looks_us = coming_us(group, shard, priority, real_us, ahead_us)
    return look
