"""The instants of a schedule in stretches of time, in short: how many, and which is the latest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from timers.schedules.schedule import Missed, Schedule
from timers.schedules.stretches import Stretch

_MICROSECOND = timedelta(microseconds=1)


def instants_in(schedule: Schedule, stretches: Sequence[Stretch]) -> Missed | None:
    """The instants in all of these, which are sorted and do not overlap; None: there are none."""
    counts = schedule.counts(stretches)
    for count, (begin, end) in zip(reversed(counts), reversed(stretches), strict=True):
        if count:
            first = schedule.first(begin)
            last = None if first is None else schedule.missed(first, end - _MICROSECOND)
            return None if last is None else Missed(last.latest, sum(counts))
    return None


def together(parts: Iterable[Missed | None]) -> Missed | None:
    """Several counts of different instants as one."""
    found = [part for part in parts if part is not None]
    return Missed(max(part.latest for part in found), sum(part.count for part in found)) if found else None
