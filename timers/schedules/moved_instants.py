"""How many instants a schedule gains by moving its excluded ones: those at which it is not due anyway.

Exact, and quick where it matters: a dense timer has thousands of excluded instants on a single day, but they move onto
instants of its own, or lie there as they lay on the day that they come from, so that they can be counted as a copy of
the schedule. What is neither (a day on which the clock is set, say) is gone through one by one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from timers.schedules.calendar import Calendar
from timers.schedules.instants_between import instants_in, together
from timers.schedules.interval import FixedRate
from timers.schedules.moving import FARTHEST_DAYS, Move, Moves
from timers.schedules.schedule import Missed, Schedule
from timers.schedules.stretches import Stretch, merged, within
from timers.schedules.wall_clock import place
from timers.schedules.wall_instants import instant_of
from timers.schedules.wall_pattern import WallPattern
from timers.schedules.wall_schedule import WallSchedule

_NO_TEXTS = ("0",) * 7
_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)


def gained(schedule: Schedule, moves: Moves, zone: ZoneInfo, begin: datetime, end: datetime) -> Missed | None:
    """The instants from `begin` to before `end` (UTC) to which excluded ones move, and which are not its own."""
    by_day: dict[date, _DayGained] = defaultdict(lambda: _DayGained(schedule, zone, Stretch(begin, end)))
    first, last = begin.astimezone(zone).date(), (end - _MICROSECOND).astimezone(zone).date()
    for origin in _days(first - _DAY * (FARTHEST_DAYS + 1), last + _DAY * (FARTHEST_DAYS + 1)):
        for move in moves.moves_of(origin):
            day = move.wall(move.begin).date()
            if first <= day <= last:
                by_day[day].take(move, origin, day)
    for instant in moves.window_ends(begin, end):
        by_day[instant.astimezone(zone).date()].single.add(instant)
    return together(day.counted() for day in by_day.values())


@dataclass(slots=True)
class _DayGained:
    """What one day gains: copies of the schedule in stretches of it, and single instants."""

    schedule: Schedule
    zone: ZoneInfo
    asked: Stretch
    copies: dict[Hashable, tuple[Schedule, list[Stretch]]] = field(default_factory=dict)
    single: set[datetime] = field(default_factory=set)

    def take(self, move: Move, origin: date, day: date) -> None:
        """Take in what moves to this day by one move."""
        if _is_steady(self.zone, day):
            there = Stretch(instant_of(self.zone, move.wall(move.begin)), instant_of(self.zone, move.wall(move.end)))
            if isinstance(self.schedule, FixedRate) and min(move.begin, there.begin) >= self.schedule.anchor:
                self._take_rate(self.schedule, there, there.begin - move.begin)
                return
            walls = self.schedule.walls if isinstance(self.schedule, WallSchedule) else None
            if isinstance(walls, WallPattern) and self._take_pattern(walls, move, there, origin, day):
                return
        instant = self.schedule.first(move.begin)
        while instant is not None and instant < move.end:
            self.single.add(instant_of(self.zone, move.wall(instant)))
            instant = self.schedule.next_after(instant)

    def _take_rate(self, rate: FixedRate, there: Stretch, shift: timedelta) -> None:
        if rest := shift % rate.period:
            copy = FixedRate(rate.period, rate.anchor + rest - rate.period)
            self.copies.setdefault(rest, (copy, []))[1].append(there)

    def _take_pattern(self, pattern: WallPattern, move: Move, there: Stretch, origin: date, day: date) -> bool:
        """Take it as a copy, if it is one: the times of day are the same on every day that matches."""
        copy = Calendar(_NO_TEXTS, self.zone, WallPattern(pattern.times))
        if _is_steady(self.zone, origin):
            if not _matches(pattern, origin):
                return True
        elif self.schedule.count(move.begin, move.end) != copy.count(*there):
            return False
        if not _matches(pattern, day):
            self.copies.setdefault("", (copy, []))[1].append(there)
        return True

    def counted(self) -> Missed | None:
        begin, end = self.asked
        copies = [(copy, within(merged(stretches), begin, end)) for copy, stretches in self.copies.values()]
        single = [at for at in self.single if begin <= at < end and self._is_new(at, copies)]
        counted = [instants_in(copy, stretches) for copy, stretches in copies]
        return together([*counted, Missed(max(single), len(single)) if single else None])

    def _is_new(self, instant: datetime, copies: list[tuple[Schedule, list[Stretch]]]) -> bool:
        if self.schedule.first(instant) == instant:
            return False
        return not any(
            begin <= instant < end and copy.first(instant) == instant for copy, parts in copies for begin, end in parts
        )


def _days(first: date, last: date) -> Iterator[date]:
    return (first + _DAY * number for number in range((last - first).days + 1))


def _matches(pattern: WallPattern, day: date) -> bool:
    midnight = datetime.combine(day, time())
    return pattern.count(midnight, midnight + _DAY) > 0


@lru_cache(maxsize=4096)
def _is_steady(zone: ZoneInfo, day: date) -> bool:
    """Whether the clock is not set on a day, nor where it begins or ends."""
    begin = place(zone, datetime.combine(day, time()))
    end = place(zone, datetime.combine(day + _DAY, time()))
    return isinstance(begin, datetime) and isinstance(end, datetime) and end - begin == _DAY
