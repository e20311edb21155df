"""Fired: the result of firing one batch of due timers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from timers.engine.execution import Execution

MAX_ROWS: Final = 5000
"""Maximum number of executions and skipped occurrences of one transaction, to keep it short; the rest comes later."""


@dataclass(slots=True)
class Fired:
    """The result of firing one batch."""

    executions: list[Execution] = field(default_factory=list)
    queued: int = 0
    """Number of executions that wait behind another one of their timer, or for someone else to claim them."""
    skipped: int = 0
    rows: int = 0
    """Number of timers that were decided about."""
    more: bool = False
    """Whether more may be due: the limit was reached, or the rest was left to the next transaction."""
    left: int = 0
    """Number of timers that stay due because their handlers are unknown here; the next look skips them."""
    computed: int = 0
    """Number of timers that stay due because something had to be computed without a lock, whether or not it is done."""
    last_us: int = 0
    """Instant of the last of them: nothing below is left, except what others have locked or commit late."""
    is_stale: bool = False
    """Whether nothing was taken because the group has changed since it was read and must be read again."""
    is_limited: bool = False
    """Whether the rest must wait for the limits of the group, or for the commit of another claim of the group."""
    rest_until_us: int | None = None
    """Until this instant of the database clock the group's limits allow nothing more, whatever ends before."""
    looks_us: list[int] = field(default_factory=list)
    """When the fired or queued timers are due next, by the database clock."""

    @property
    def is_full(self) -> bool:
        """Whether the rest should be left to the next transaction."""
        return len(self.executions) + self.queued + self.skipped >= MAX_ROWS
