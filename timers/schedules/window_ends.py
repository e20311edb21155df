"""Window ends: ends of excluded stretches to which an instant in a window moves (`on_excluded` after).

A stretch may have begun on an earlier day. Its end is gained if the schedule has an instant in it, at most `farthest`
before the end, that no rule of whole days excludes: such a rule moves it to another day instead.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from timers.schedules.excluded_shapes import Shape, Spans
from timers.schedules.instant_counts import MOST_PAIRS, ShapeMasks
from timers.schedules.second_masks import mask_of_stretches
from timers.schedules.shown_parts import Part

_MICROSECONDS: Final = 1_000_000


class Ends(NamedTuple):
    """Ends in a part of a day that gain an instant. Compared by identity, as the parts' masks are."""

    on_grid: int = 0
    """Ends that are whole seconds after the day's first instant, as a second mask."""
    off_grid: int = 0
    """Ends at whole seconds of the day if the schedule's instants lie between the seconds, as a second mask."""
    single: tuple[int, ...] = ()
    """All others, in microseconds of the day."""


NO_ENDS: Final = Ends()


class _Inside(NamedTuple):
    """Result of a part's stretches alone. Instants are microseconds of the day."""

    seconds: int
    shape: Shape
    first_end: int | None
    """End of the stretch that is open when the part begins; None: there is none."""
    first_hit: int | None
    """Last instant in it that moves to its end."""
    last_hit: int | None
    """Last such instant of the stretch that is open when the part ends, if it is another one."""
    ends: Ends
    """Ends of the stretches between."""


@dataclass(slots=True)
class WindowEnds:
    """Processes consecutive parts."""

    masks: ShapeMasks
    farthest: int
    """Maximum distance in microseconds."""
    _is_open: bool = False
    _hit: int | None = None
    """Last instant in the open stretch that moves to its end, in microseconds since 1970."""
    _inside: dict[tuple[int, int], _Inside] = field(default_factory=dict)
    _between: dict[int, tuple[Shape, int, int, int]] = field(default_factory=dict)
    _known: dict[tuple[int, int], tuple[_Inside, Ends]] = field(default_factory=dict)

    def take(self, part: Part, seconds: int, shape: Shape) -> Ends:
        """Return the ends in the next part, in which the schedule is due at these seconds."""
        base = part.base * _MICROSECONDS
        low, high = part.low * _MICROSECONDS, part.high * _MICROSECONDS
        if not shape.all:
            is_gained = self._close(base + low)
            return self._at(low) if is_gained else NO_ENDS
        inside = self._inside_of(part, seconds, shape)
        gained = None
        if inside.first_end is None:
            gained = low if self._close(base + low) else None
        else:
            if inside.first_hit is not None:
                self._hit = base + inside.first_hit
            self._is_open = True
            if inside.first_end < high:
                gained = inside.first_end if self._close(base + inside.first_end) else None
        if shape.all[-1][1] >= high and (inside.first_end is None or len(shape.all) > 1):
            self._is_open, self._hit = True, None if inside.last_hit is None else base + inside.last_hit
        return inside.ends if gained is None else self._with(inside, gained)

    def _close(self, end: int) -> bool:
        """End the open stretch, if there is one; return whether its end is gained."""
        hit = self._hit if self._is_open else None
        self._is_open, self._hit = False, None
        return hit is not None and end - hit <= self.farthest

    def _with(self, inside: _Inside, gained: int) -> Ends:
        key = id(inside), gained
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= MOST_PAIRS:
                self._known.clear()
            more = self._at(gained)
            ends = inside.ends
            known = self._known[key] = (
                inside,
                Ends(ends.on_grid | more.on_grid, ends.off_grid | more.off_grid, (*more.single, *ends.single)),
            )
        return known[1]

    def _at(self, end: int) -> Ends:
        second, rest = divmod(end, _MICROSECONDS)
        if rest == self.masks.grid:
            return Ends(on_grid=1 << second)
        return Ends(single=(end,)) if rest else Ends(off_grid=1 << second)

    def _inside_of(self, part: Part, seconds: int, shape: Shape) -> _Inside:
        key = id(seconds), id(shape)
        inside = self._inside.get(key)
        if inside is None:
            if len(self._inside) >= MOST_PAIRS:
                self._inside.clear()
                self._known.clear()
            inside = self._inside[key] = self._read(part, seconds, shape)
        return inside

    def _read(self, part: Part, seconds: int, shape: Shape) -> _Inside:
        low, high = part.low * _MICROSECONDS, part.high * _MICROSECONDS
        hits = 0
        if shape.days != shape.all:
            hits = seconds & self.masks.excluded(shape) & ~self.masks.of_days(shape)
        first_end = shape.all[0][1] if shape.all[0][0] <= low else None
        first = self._last(hits, low, shape.all[0][1]) if first_end is not None else None
        is_cut = shape.all[-1][1] >= high and (first_end is None or len(shape.all) > 1)
        last = self._last(hits, *shape.all[-1]) if is_cut else None
        between = shape.all[first_end is not None : len(shape.all) - is_cut]
        return _Inside(seconds, shape, first_end, first, last, self._ends(hits, shape, between))

    def _last(self, hits: int, begin: int, end: int) -> int | None:
        """Return the last hit in a stretch."""
        found = hits & mask_of_stretches(((begin, end),), self.masks.grid)
        return (found.bit_length() - 1) * _MICROSECONDS + self.masks.grid if found else None

    def _ends(self, hits: int, shape: Shape, between: Spans) -> Ends:
        """Return the ends of stretches that contain a hit."""
        if not hits or not between:
            return NO_ENDS
        if any(begin % _MICROSECONDS or end % _MICROSECONDS for begin, end in between):
            found = [self._at(end) for begin, end in between if self._last(hits, begin, end) is not None]
            return Ends(
                sum(each.on_grid for each in found),
                sum(each.off_grid for each in found),
                tuple(single for each in found for single in each.single),
            )
        known = self._between.get(id(shape))
        if known is None:
            begins, ends = (sum(1 << each // _MICROSECONDS for each in bounds) for bounds in zip(*between, strict=True))
            known = self._between[id(shape)] = shape, begins, ends, mask_of_stretches(between)
        _, begins, ends, all_ = known
        # Added to the seconds without a hit, the begin of a stretch carries to its end if none of them is missing.
        gained = ends & ~((all_ & ~hits) + begins)
        return Ends(off_grid=gained) if self.masks.grid else Ends(on_grid=gained)
