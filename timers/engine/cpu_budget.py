"""CpuBudget: how much CPU time the schedules of one group may cost in one pass of a claimer, or those of one call.

A group whose rules are costly delays itself: what it has no time for is left to its next turn, and the groups after it
are served. Only the CPU time of the calling thread counts, so a busy machine takes nothing away from a group.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

GROUP_SECONDS: Final = 0.1
"""For a group in one pass: some thousand recurring timers, by what they normally cost."""
LOCKED_PARSE_SECONDS: Final = 0.005
"""Of these, for schedules that are parsed while their rows are locked; the rest is parsed after the commit."""
LOCKED_SECONDS: Final = 0.03
"""Of these, for all that is decided in one transaction: the rest of the batch is left to the next one."""


class CpuBudget:
    """Counts the CPU time spent since it was made, or, where it is used by `with`, that spent within the blocks."""

    def __init__(
        self,
        seconds: float = GROUP_SECONDS,
        *,
        parse_seconds: float = LOCKED_PARSE_SECONDS,
        locked_seconds: float = math.inf,
        cpu: Callable[[], float] = time.thread_time,
    ) -> None:
        self._left = seconds
        self._parse_left = parse_seconds
        self._locked_seconds = self._locked_left = locked_seconds
        self._cpu = cpu
        self._since = cpu()

    def __enter__(self) -> Self:
        self._since = self._cpu()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._charge()

    def grant(self, seconds: float) -> None:
        """Allow so much more."""
        self._left += seconds

    @property
    def is_spent(self) -> bool:
        """Whether nothing was left when it was last charged."""
        return self._left <= 0

    def lock(self) -> None:
        """Take off what was spent since the last time; from now on rows are locked."""
        self._charge()
        self._locked_left = self._locked_seconds

    @property
    def may_hold_locks(self) -> bool:
        """Whether the rows that are locked may stay so for more decisions."""
        return self._left > 0 and self._locked_left > 0

    def charge(self) -> None:
        """Take off what was spent since the last time."""
        self._charge()

    def charge_parse(self) -> None:
        """The same, for a schedule that was parsed while rows are locked."""
        self._parse_left -= self._charge()

    @property
    def may_parse(self) -> bool:
        """Whether one more schedule may be parsed while rows are locked."""
        return self._parse_left > 0

    def _charge(self) -> float:
        now = self._cpu()
        spent, self._since = now - self._since, now
        self._left -= spent
        self._locked_left -= spent
        return spent


def budget_of_group() -> CpuBudget:
    """What one group may cost in one pass, and in each of its transactions."""
    return CpuBudget(locked_seconds=LOCKED_SECONDS)
