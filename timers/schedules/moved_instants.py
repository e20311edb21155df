"""Count the instants that a fixed rate of fractions of a second gains by moving its excluded ones.

Rates of whole seconds, and all other schedules, are counted second by second (see moved_counts.py). Here a move is a
copy of the rate, shifted by the length of the move; copies with the same shift are merged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from timers.schedules.instant import EPOCH
from timers.schedules.interval import FixedRate
from timers.schedules.moving import FARTHEST_DAYS, Move, Moves
from timers.schedules.schedule import Missed, together
from timers.schedules.shown_parts import parts_between
from timers.schedules.stretches import Stretch, merged, within, without
from timers.schedules.wall_clock import Change, place

_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)
_EARLIER = timedelta(days=FARTHEST_DAYS + 3)
"""How long before its rate a copy begins: instants may move to before the first one of the rate."""


def gained(rate: FixedRate, moves: Moves, zone: ZoneInfo, begin: datetime, end: datetime) -> Missed | None:
    """Return the instants from `begin` to before `end` (UTC) to which excluded ones move, without the rate's own."""
    by_day: dict[date, _DayGained] = defaultdict(lambda: _DayGained(rate, zone, Stretch(begin, end)))
    first, last = begin.astimezone(zone).date(), (end - _MICROSECOND).astimezone(zone).date()
    for origin in _days(first - _DAY * (FARTHEST_DAYS + 1), last + _DAY * (FARTHEST_DAYS + 1)):
        for move in moves.moves_of(origin):
            day = move.wall(move.begin).date()
            if first - _DAY <= day <= last + _DAY:
                by_day[day].take(move)
    for instant in moves.window_ends(begin, end):
        by_day[instant.astimezone(zone).date()].single.add(instant)
    # The end of a gap over midnight may be found for both of the days.
    singles = {at for day in by_day.values() for at in day.new_singles()}
    counted = [day.counted() for day in by_day.values()]
    return together([*counted, Missed(max(singles), len(singles)) if singles else None])


@dataclass(slots=True)
class _DayGained:
    """Gains of one day: copies of the rate in stretches of it, and single instants."""

    rate: FixedRate
    zone: ZoneInfo
    asked: Stretch
    copies: dict[timedelta, tuple[FixedRate, list[Stretch]]] = field(default_factory=dict)
    """Copies by their shift against the rate."""
    single: set[datetime] = field(default_factory=set)

    def take(self, move: Move) -> None:
        """Add what moves to this day by one move."""
        first = max(move.begin, self.rate.anchor)
        if first >= move.end:
            return
        for begin, end, there in self._pieces(first, move):
            if there is None:
                instant = self.rate.first(begin)
                if instant is not None and instant < end:
                    change = place(self.zone, move.wall(begin))
                    assert isinstance(change, Change)  # shown on no part of the day
                    self.single.add(change.at)
            else:
                self._copy(Stretch(there, there + (end - begin)), there - begin)

    def _pieces(self, first: datetime, move: Move) -> Iterator[tuple[datetime, datetime, datetime | None]]:
        """Yield the pieces of the move from an instant on, cut at clock changes, with their targets.

        None: the end of a gap.
        """
        midnight = datetime.combine(move.wall(first).date(), time())
        rest = [Stretch(first, move.end)]
        noon = (midnight + _DAY / 2).replace(tzinfo=UTC)
        for part in parts_between(self.zone, noon - 3 * _DAY, noon + 3 * _DAY):
            if part.day != midnight.toordinal():
                continue
            base = EPOCH + _SECOND * part.base
            wall_base = midnight.replace(tzinfo=UTC) - move.shift
            shown = Stretch(wall_base + _SECOND * part.low, wall_base + _SECOND * part.high)
            for begin, end in (each for piece in rest for each in within([piece], *shown)):
                yield begin, end, base + (begin - wall_base)
            rest = without(rest, [shown])
        yield from ((begin, end, None) for begin, end in rest)

    def _copy(self, there: Stretch, shift: timedelta) -> None:
        behind = shift % self.rate.period
        if not behind:  # the instants are the rate's own, unless they are before its first
            there = Stretch(there.begin, min(there.end, self.rate.anchor))
        if there.begin < there.end:
            earlier = self.rate.period * (_EARLIER // self.rate.period + 1)
            copy = FixedRate(self.rate.period, self.rate.anchor + behind - earlier)
            self.copies.setdefault(behind, (copy, []))[1].append(there)

    def counted(self) -> Missed | None:
        """Return the count of the copies' instants."""
        return together(_counted(copy, begin, end) for copy, stretches in self._within() for begin, end in stretches)

    def new_singles(self) -> list[datetime]:
        """Return the single instants that neither a copy nor the rate itself has."""
        begin, end = self.asked
        copies = self._within()
        return [at for at in self.single if begin <= at < end and self._is_new(at, copies)]

    def _within(self) -> list[tuple[FixedRate, list[Stretch]]]:
        return [(copy, within(merged(stretches), *self.asked)) for copy, stretches in self.copies.values()]

    def _is_new(self, instant: datetime, copies: list[tuple[FixedRate, list[Stretch]]]) -> bool:
        if self.rate.first(instant) == instant:
            return False
        return not any(
            begin <= instant < end and copy.first(instant) == instant for copy, parts in copies for begin, end in parts
        )


def _counted(rate: FixedRate, begin: datetime, end: datetime) -> Missed | None:
    first = rate.first(begin)
    return None if first is None or first >= end else rate.missed(first, end - _MICROSECOND)


def _days(first: date, last: date) -> Iterator[date]:
    return (first + _DAY * number for number in range((last - first).days + 1))
