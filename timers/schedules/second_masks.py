"""Second masks: sets of seconds of a day as integers, with bit n set for second n.

A day has 86,400 bits, and an operation on all of them (both, either, how many) costs microseconds.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache
from typing import Final, Protocol

SECONDS_A_DAY: Final = 86_400
WHOLE_DAY: Final = (1 << SECONDS_A_DAY) - 1
_MICROSECONDS: Final = 1_000_000


class HasMask(Hashable, Protocol):
    """Times of day that can be converted to a mask."""

    def mask(self) -> int: ...


@lru_cache(maxsize=512)
def mask_of_times(times: HasMask) -> int:
    """Return the mask of some times of day: the same object for equal times."""
    return times.mask()


def mask_between(first: int, end: int) -> int:
    """Return the seconds from `first` to before `end`."""
    return ((1 << (end - first)) - 1) << first if first < end else 0


def mask_of_stretches(stretches: tuple[tuple[int, int], ...], grid: int = 0) -> int:
    """Return the seconds n for which n s and `grid` us lie in a stretch (in microseconds of the day)."""
    mask = 0
    for begin, end in reversed(stretches):
        mask |= mask_between(-((grid - begin) // _MICROSECONDS), -((grid - end) // _MICROSECONDS))
    return mask & WHOLE_DAY


def every_second(first: int, step: int, end: int = SECONDS_A_DAY) -> int:
    """Return the seconds `first`, `first + step` and so on, before `end`."""
    if first >= end:
        return 0
    mask, count = 1, 1
    while step * count < end - first:
        mask |= mask << (step * count)
        count *= 2
    return (mask & ((1 << (end - first)) - 1)) << first
