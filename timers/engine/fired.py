"""Fired: what one batch of due timers brought."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from timers.engine.execution import Execution

MAX_ROWS: Final = 5000
"""Executions and skipped occurrences of one transaction, which must not take long; the rest comes with the next."""


@dataclass(slots=True)
class Fired:
    """What one batch brought."""

    executions: list[Execution] = field(default_factory=list)
    queued: int = 0
    """Executions that wait behind another one of their timer, or for someone else to take them up."""
    skipped: int = 0
    rows: int = 0
    """Timers that were decided about."""
    more: bool = False
    """More may be due: there were as many as the limit, or they were left to the next transaction."""
    left: int = 0
    """Timers that stay due, because their handlers are unknown here; the next look passes over them."""
    computed: int = 0
    """Timers that stay due, because something had to be computed without a lock; for some of these it is by now."""
    last_us: int = 0
    """The instant of the last of them: nothing below it is left, but for what others hold or commit late."""
    is_stale: bool = False
    """Nothing was taken, for the group has changed since it was read: it is to be read again."""
    is_limited: bool = False
    """What is left must wait for the limits of the group, or for another claim of the group to be committed."""
    rest_until_us: int | None = None
    """Until this instant of the database's clock the group's limits allow nothing more, whatever ends before."""
    looks_us: list[int] = field(default_factory=list)
    """When the timers that were fired or queued are due next, by the database's clock."""

    @property
    def is_full(self) -> bool:
        """Whether the rest is better left to the next transaction."""
        return len(self.executions) + self.queued + self.skipped >= MAX_ROWS
