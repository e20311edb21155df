"""Instants of a wall-clock schedule, for each part of the days that the clock shows, as second masks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from timers.schedules.instant import EPOCH
from timers.schedules.interval import FixedRate
from timers.schedules.second_masks import SECONDS_A_DAY, every_second, mask_between
from timers.schedules.shown_parts import Part
from timers.schedules.wall_schedule import WallSchedule

_SECOND: Final = timedelta(seconds=1)
_WALL_EPOCH: Final = EPOCH.replace(tzinfo=None)


class Own(NamedTuple):
    """A part and the schedule's own instants in it."""

    part: Part
    seconds: int
    skipped: datetime | None = None
    """The wall for which the first second fires, if it was skipped by a gap that ends there."""


def own_parts(schedule: WallSchedule, parts: Sequence[Part]) -> Iterator[Own]:
    """Yield the schedule's instants in consecutive parts of the schedule's zone.

    The first part must not begin within a fold.
    """
    if not parts:
        return
    last_day = max(part.day for part in parts[-2:])
    coming = enumerate(schedule.walls.masks(parts[0].day, last_day), parts[0].day)
    masks: dict[int, int] = {}
    before: Part | None = None
    shown_until = -1
    for part in parts:
        while part.day not in masks:  # a clock that is set back over midnight shows the day before again
            day, mask = next(coming)
            masks = {other: masks[other] for other in masks if other >= day - 2}
            masks[day] = mask
        mask, skipped = masks[part.day], None
        if before is not None and part.wall_begin < before.wall_end:
            if schedule.policy.fold == "once":
                shown_until = before.wall_end
        elif before is not None and part.wall_begin > before.wall_end and schedule.policy.gap == "run_after":
            skipped = _skipped(schedule, before.wall_end, part.wall_begin)
        if not part.is_whole:
            mask &= mask_between(part.low, part.high)
        if shown_until > part.wall_begin:
            mask &= ~mask_between(part.low, min(shown_until - part.wall_begin + part.low, part.high))
        if skipped is not None:
            first = 1 << part.low
            skipped, mask = None if mask & first else skipped, mask | first
        yield Own(part, mask, skipped)
        before = part


def own_parts_of_rate(rate: FixedRate, parts: Sequence[Part]) -> Iterator[Own]:
    """Yield the instants of a fixed rate of whole seconds, which have the microseconds of its anchor."""
    period, anchor = rate.period // _SECOND, (rate.anchor - EPOCH) // _SECOND
    masks: dict[int, int] = {}
    for part in parts:
        phase = (anchor - part.base) % period
        mask = masks.get(phase)
        if mask is None:
            mask = masks[phase] = every_second(phase, period)
        if part.base < anchor:
            mask &= ~mask_between(0, min(anchor - part.base, SECONDS_A_DAY))
        yield Own(part, mask if part.is_whole else mask & mask_between(part.low, part.high))


def _skipped(schedule: WallSchedule, begin: int, end: int) -> datetime | None:
    """Return the first wall of the schedule from one to before another (seconds since the wall 1970)."""
    found = schedule.walls.after(_WALL_EPOCH + _SECOND * (begin - 1))
    return found if found is not None and found < _WALL_EPOCH + _SECOND * end else None
