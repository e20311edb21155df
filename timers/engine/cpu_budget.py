"""CpuBudget: how much CPU time the schedules of one group may use in one pass of a claimer, or those of one call.

A group with costly rules delays only itself: what exceeds the budget is left to its next turn, and the following groups
are served. Only CPU time of the calling thread counts, so a busy machine does not reduce a group's budget.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

GROUP_SECONDS: Final = 0.1
"""CPU seconds of a group per pass: enough for some thousand recurring timers of normal cost."""
LOCKED_PARSE_SECONDS: Final = 0.005
"""Part of it for schedules that are parsed while their rows are locked; the rest are parsed after the commit."""
LOCKED_SECONDS: Final = 0.03
"""Part of it for all decisions of one transaction; the rest of the batch is left to the next transaction."""


class CpuBudget:
    """Counts the CPU time used since its creation or, when used as a context manager, within the blocks."""

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
        """Add `seconds` to the budget."""
        self._left += seconds

    @property
    def is_spent(self) -> bool:
        """Whether nothing was left at the last charge."""
        return self._left <= 0

    def lock(self) -> None:
        """Charge the time since the last charge and start a locked phase."""
        self._charge()
        self._locked_left = self._locked_seconds

    @property
    def may_hold_locks(self) -> bool:
        """Whether locked rows may stay locked for more decisions."""
        return self._left > 0 and self._locked_left > 0

    def charge(self) -> None:
        """Charge the time since the last charge."""
        self._charge()

    def charge_parse(self) -> None:
        """Charge the time since the last charge for a schedule that was parsed while rows were locked."""
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
    """Return the budget of one group for one pass, with the limit for each of its transactions."""
    return CpuBudget(locked_seconds=LOCKED_SECONDS)
