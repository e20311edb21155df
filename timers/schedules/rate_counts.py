"""Count the instants of a fixed rate in excluded or free time, whatever its period.

Each day has its own phase: the time from its beginning to the first instant. The number of instants in its stretches
depends on the phase alone, and is found by bisection.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from timers.schedules.excluded_shapes import Shape, Spans
from timers.schedules.instant import EPOCH
from timers.schedules.interval import FixedRate
from timers.schedules.schedule import Missed
from timers.schedules.shown_parts import Part

_MICROSECONDS: Final = 1_000_000
_MICROSECOND: Final = timedelta(microseconds=1)


def counted_of_rate(
    rate: FixedRate, parts: Iterable[tuple[Part, Shape]], begin: datetime, end: datetime, *, excluded: bool
) -> Missed | None:
    """Return the instants from `begin` to before `end` that are free, or those that are excluded."""
    period, anchor = rate.period // _MICROSECOND, (rate.anchor - EPOCH) // _MICROSECOND
    low, high = (max(bound - EPOCH, rate.anchor - EPOCH) // _MICROSECOND for bound in (begin, end))
    by_shape: dict[int, tuple[Shape, Spans, _ByPhase]] = {}
    count, latest = 0, None
    for part, shape in parts:
        base = part.base * _MICROSECONDS
        first, last = base + part.low * _MICROSECONDS, base + part.high * _MICROSECONDS
        if last <= low or first >= high:
            continue
        phase = (anchor - base) % period
        if part.is_whole and low <= first and last <= high:
            known = by_shape.get(id(shape))
            if known is None:
                spans = shape.all if excluded else _free(shape.all, part)
                known = by_shape[id(shape)] = shape, spans, _ByPhase(spans, period)
            spans, found = known[1], known[2].count(phase)
        else:
            spans = _cut(shape.all if excluded else _free(shape.all, part), low - base, high - base)
            found = sum(_before(end, phase, period) - _before(begin, phase, period) for begin, end in spans)
        if found:
            count += found
            latest = spans, base, phase
    if latest is None:
        return None
    return Missed(EPOCH + _MICROSECOND * _last(*latest, period), count)


class _ByPhase:
    """Number of instants in some stretches, by the phase."""

    def __init__(self, spans: Spans, period: int) -> None:
        self._whole = sum(end // period - begin // period for begin, end in spans)
        self._begins = sorted(begin % period for begin, _ in spans)
        self._ends = sorted(end % period for _, end in spans)

    def count(self, phase: int) -> int:
        # From a bound on, one instant fewer of its period follows if the phase is before its remainder.
        later_ends = len(self._ends) - bisect_right(self._ends, phase)
        return self._whole + later_ends - len(self._begins) + bisect_right(self._begins, phase)


def _before(bound: int, phase: int, period: int) -> int:
    """Return the number of instants before a bound; only differences are meaningful."""
    return -((phase - bound) // period)


def _last(spans: Spans, base: int, phase: int, period: int) -> int:
    """Return the last instant in stretches that contain one."""
    for begin, end in reversed(spans):
        last = phase + (_before(end, phase, period) - 1) * period
        if last >= begin:
            return base + last
    raise ValueError("the stretches hold no instant")


def _free(excluded: Spans, part: Part) -> Spans:
    """Return the parts of a part that lie in none of these."""
    bounds = [part.low * _MICROSECONDS, *(bound for span in excluded for bound in span), part.high * _MICROSECONDS]
    return tuple((begin, end) for begin, end in zip(bounds[::2], bounds[1::2], strict=True) if begin < end)


def _cut(spans: Spans, low: int, high: int) -> Spans:
    cut = ((max(begin, low), min(end, high)) for begin, end in spans)
    return tuple((begin, end) for begin, end in cut if begin < end)
