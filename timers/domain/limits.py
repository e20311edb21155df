"""Limits: how many executions of a group may be claimed at once, or start in a period, over all nodes and consumers.

What runs is counted from live claims, never kept in a counter, so a limit holds through kills: what a dead node held
counts until it is rescued.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from timers.domain.rates import Rate
from timers.exceptions import SpecError

MAX_CONCURRENCY: Final = 100_000


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a group; false where none is set."""

    max_concurrency: int | None = None
    """The most executions that are claimed at once."""
    max_rate: Rate | None = None
    """The most executions that start in a period."""

    def __bool__(self) -> bool:
        return self != NO_LIMITS

    @property
    def is_concurrent(self) -> bool:
        """Whether the end of an execution lets another one begin."""
        return self.max_concurrency is not None


NO_LIMITS: Final = Limits()


def check_concurrency(field: str, value: Any) -> int:
    """Raise SpecError for what is no limit of concurrent executions."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_CONCURRENCY:
        words = f"must be a whole number from 1 to {MAX_CONCURRENCY:,}, or null for no limit; to run nothing, pause the"
        raise SpecError(field, f"{words} group", given=value)
    return value
