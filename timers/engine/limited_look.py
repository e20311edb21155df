"""Limited look: what a fire of a group with limits may take of one part, found under its limit lock.

A fire looks in rounds, each for more timers than the one before: skipped instants do not count towards limits, so the
same fire can find what comes after them.
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
"""Factor by which the next round looks at more timers."""


@dataclass(slots=True)
class LimitedLook:
    """What may be fired of one part, and how limits affect the rest. Instants are microseconds."""

    allowance: Allowance
    shard: int
    priority: int
    real_us: int
    """The current instant by the database clock."""
    now_us: int
    """By the group's clock, like the horizon."""
    horizon_us: int
    ids: list[int] | None = None
    """Only these timers; None: the earliest due ones."""
    more: bool = False
    """Whether there are more that the limits by key allow."""
    looks_us: list[int] = field(default_factory=list)
    has_written: bool = False
    """Whether limit keys of timers were written."""
    _spare: int = 1
    """How many timers are looked at for each one that may be claimed."""

    def find(self, wanted: int, leave: Collection[str]) -> int:
        """Find the timers of the next round; return how many of them may be locked at most, 0: none.

        Args:
            wanted: number of executions.
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
        """Return whether another round can find timers that this one did not, because some were only skipped.

        Args:
            batch: the decisions of this round.
            taken: its progress.
            rows: how many timers it could decide about.
            is_full: whether it had the maximum number of timers.
        """
        if taken.left or taken.rows + taken.passed < rows:
            return False
        fired = {execution.timer_id for execution in batch.executions}
        return taken.rows > len(fired) and (is_full or self.ids is not None)

    def note(self, fired: Fired) -> None:
        """Record in the result of a completed fire how limits affect the rest."""
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
        group: the group, with limits.
        holder: the worker or consumer that fires.
        shard: the shard of the timers.
        priority: the priority of the timers.
        real_us: the current instant by the database clock, in microseconds.
        ahead_us: the horizon by the database clock.
        now_us: the current instant by the group's clock.
        horizon_us: the horizon by the group's clock.
    """
    allowance = hold_allowance(group, holder, real_us, ahead_us)
    look = LimitedLook(allowance, shard, priority, real_us, now_us, horizon_us)
    if allowance.most > 0 and group.limits.is_rated:
        # Executions under a rate limit are not claimed ahead of their instant; the claimer looks again at that instant.
        look.horizon_us = min(now_us, horizon_us)
        look.looks_us = coming_us(group, shard, priority, real_us, ahead_us)
    return look
