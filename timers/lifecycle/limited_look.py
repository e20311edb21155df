"""Limited look: what a fire of a group with limits may take of one part, found under its limit lock."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from timers.lifecycle.allowance import Allowance
from timers.lifecycle.execution import AnyHolder, ServedGroup
from timers.lifecycle.fired import Fired
from timers.lifecycle.group_limits import coming_us, hold_allowance
from timers.lifecycle.keyed_due import keyed_due


@dataclass(slots=True)
class LimitedLook:
    """What may be fired, and what the limits say of the rest."""

    allowance: Allowance
    limit: int
    """The most timers; 0: none."""
    horizon_us: int
    """By the group's clock."""
    ids: list[int] | None = None
    """Only these timers; None: the earliest that are due."""
    more: bool = False
    """There are more that the limits by key allow."""
    looks_us: list[int] = field(default_factory=list)

    def note(self, fired: Fired) -> None:
        """Set in the answer of a fire that has taken what it may what the limits say of the rest."""
        fired.is_limited = self.allowance.most < 1 or (self.ids is not None and not self.more)
        fired.more = not fired.is_limited and (fired.more or self.more)
        fired.rest_until_us = self.allowance.rest_until_us
        fired.looks_us += [*self.looks_us, *self.allowance.looks_us()]

    def nothing(self) -> Fired:
        """The answer of a fire that may take nothing."""
        fired = Fired()
        self.note(fired)
        return fired


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
    limit: int,
    leave: Collection[str] = (),
) -> LimitedLook:
    """Take the limit lock of a group until the transaction ends, and find what may be fired of one part.

    Args:
        real_us: the present instant by the database's clock, in microseconds.
        ahead_us: the horizon by the database's clock.
        now_us: the present instant by the group's clock.
        horizon_us: the horizon by the group's clock.
        limit: the most timers.
        leave: handlers whose timers are left.
    """
    allowance = hold_allowance(group, holder, real_us, ahead_us)
    look = LimitedLook(allowance, min(limit, allowance.most), horizon_us)
    if look.limit < 1:
        return look
    if group.limits.is_rated:
        # What starts at a rate is not claimed ahead of its instant, which is looked at when it comes.
        look.horizon_us = min(now_us, horizon_us)
        look.looks_us = coming_us(group, shard, priority, real_us, ahead_us)
    if group.limits.is_keyed:
        found = keyed_due(
            allowance, shard, priority, now_us=now_us, horizon_us=look.horizon_us, limit=look.limit, leave=leave
        )  # fmt: skip
        look.ids, look.more = found.ids, found.more
        if not found.ids:
            look.limit = 0
            if found.more or found.rest_seconds:
                look.looks_us.append(real_us + round(found.rest_seconds * 1_000_000))
    return look
