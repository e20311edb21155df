"""Count the instants of a schedule under exclusion calendars: those that run, and those that are excluded.

Each day is a pair: the seconds at which the schedule is due (see own_parts.py), and what is excluded (see
excluded_shapes.py). The count of a pair is computed once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from timers.schedules.excluded_shapes import Shape
from timers.schedules.instant import EPOCH
from timers.schedules.schedule import Missed
from timers.schedules.second_masks import WHOLE_DAY, mask_between, mask_of_stretches
from timers.schedules.shown_parts import Part

MOST_PAIRS: Final = 1_000
_SECOND: Final = timedelta(seconds=1)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(slots=True)
class ShapeMasks:
    """Masks of shapes. `grid`: microseconds of the instants after the full second."""

    grid: int
    _all: dict[int, tuple[Shape, int, int, int]] = field(default_factory=dict)

    def excluded(self, shape: Shape) -> int:
        return self._of(shape)[1]

    def free(self, shape: Shape) -> int:
        return self._of(shape)[2]

    def of_days(self, shape: Shape) -> int:
        """Return what rules of whole days exclude."""
        return self._of(shape)[3]

    def _of(self, shape: Shape) -> tuple[Shape, int, int, int]:
        masks = self._all.get(id(shape))
        if masks is None:
            excluded = mask_of_stretches(shape.all, self.grid)
            days = excluded if shape.days == shape.all else mask_of_stretches(shape.days, self.grid)
            masks = self._all[id(shape)] = (shape, excluded, WHOLE_DAY ^ excluded, days)
        return masks


@dataclass(slots=True)
class Tally:
    """Sums up instants, part by part in chronological order, from `begin` to before `end`."""

    begin: datetime
    end: datetime
    grid: int
    count: int = 0
    _latest: tuple[Part, int] | None = None
    _latest_off_grid: tuple[Part, int] | None = None
    _latest_single: int | None = None
    _low: int = field(init=False)
    _high: int = field(init=False)

    def __post_init__(self) -> None:
        self._low, self._high = (_seconds_up(bound, self.grid) for bound in (self.begin, self.end))

    def overlaps(self, part: Part) -> bool:
        return part.base + part.high > self._low and part.base + part.low < self._high

    def is_within(self, part: Part) -> bool:
        return part.base + part.low >= self._low and part.base + part.high <= self._high

    def cut(self, part: Part, seconds: int) -> int:
        """Return the seconds that lie within the bounds."""
        if self.is_within(part):
            return seconds
        return seconds & mask_between(max(self._low - part.base, 0), max(min(self._high - part.base, 86_400), 0))

    def add(self, part: Part, seconds: int, count: int) -> None:
        """Add `count` seconds of a part, which lie within the bounds."""
        if count:
            self.count += count
            self._latest = part, seconds

    def add_off_grid(self, part: Part, seconds: int) -> None:
        """Add seconds of a part with instants that are not on the grid."""
        if not seconds:
            return
        if not self.is_within(part):
            low, high = (_seconds_up(bound, 0) - part.base for bound in (self.begin, self.end))
            seconds &= mask_between(max(low, 0), max(min(high, 86_400), 0))
        if seconds:
            self.count += seconds.bit_count()
            self._latest_off_grid = part, seconds

    def add_single(self, instants: Iterable[int]) -> None:
        """Add instants (microseconds since 1970), none earlier than those added before."""
        begin, end = ((bound - EPOCH) // _MICROSECOND for bound in (self.begin, self.end))
        for instant in instants:
            if begin <= instant < end:
                self.count += 1
                self._latest_single = max(instant, self._latest_single or instant)

    @property
    def total(self) -> Missed | None:
        found = [
            EPOCH + _SECOND * (part.base + seconds.bit_length() - 1) + _MICROSECOND * grid
            for (part, seconds), grid in self._latest_of_each()
        ]
        if self._latest_single is not None:
            found.append(EPOCH + _MICROSECOND * self._latest_single)
        return Missed(max(found), self.count) if found else None

    def _latest_of_each(self) -> Iterator[tuple[tuple[Part, int], int]]:
        if self._latest is not None:
            yield self._latest, self.grid
        if self._latest_off_grid is not None:
            yield self._latest_off_grid, 0


def counted(
    own: Iterable[tuple[Part, int, Shape]], begin: datetime, end: datetime, *, grid: int, excluded: bool
) -> Missed | None:
    """Return the instants from `begin` to before `end` that are free, or those that are excluded.

    `own`: the parts in chronological order, the instants in each, and what is excluded of it.
    """
    tally, masks = Tally(begin, end, grid), ShapeMasks(grid)
    known: dict[tuple[int, int], tuple[int, int, int]] = {}  # with the object of each id, to keep it alive
    for part, seconds, shape in own:
        if not seconds or not tally.overlaps(part):
            continue
        if not tally.is_within(part):
            found = tally.cut(part, seconds & (masks.excluded(shape) if excluded else masks.free(shape)))
            tally.add(part, found, found.bit_count())
            continue
        key = id(seconds), id(shape)
        pair = known.get(key)
        if pair is None:
            found = seconds & (masks.excluded(shape) if excluded else masks.free(shape))
            if len(known) >= MOST_PAIRS:
                known.clear()
            pair = known[key] = (found, found.bit_count(), seconds)
        tally.add(part, *pair[:2])
    return tally.total


def _seconds_up(instant: datetime, grid: int) -> int:
    """Return the first second since 1970 that, with `grid` added, is not before an instant."""
    return -((EPOCH + _MICROSECOND * grid - instant) // _SECOND)
