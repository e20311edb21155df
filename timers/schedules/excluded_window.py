"""Rule of exclusion calendars that excludes windows, whose begins are defined by a cron expression."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Self
from zoneinfo import ZoneInfo

from timers.exceptions import InvalidRequest
from timers.schedules.cron import Cron
from timers.schedules.cron_expression import CronExpression
from timers.schedules.duration import describe_duration, parse_duration, seconds_of
from timers.schedules.stretches import Stretch
from timers.schedules.times_of_day import ClockTimes
from timers.schedules.wall_instants import SteadyTime, steady_times

MOST_WINDOWS_A_DAY = 48
"""Maximum number of windows per day of one rule; the rules of a calendar together may have twice as many."""
LONGEST_WINDOW = 31 * 86_400 * 1_000_000  # microseconds
_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1)
_UNSETTLED = timedelta(days=2)
"""Time after a clock change that is handled window by window: no zone skips or repeats more than a day."""


@dataclass(frozen=True, slots=True)
class ExcludedWindow:
    """A window that begins whenever the wall clock matches a cron expression, and lasts a fixed elapsed time."""

    expression: CronExpression
    duration: timedelta

    @classmethod
    def parse(cls, rule: Mapping[str, Any], field: str) -> Self:
        try:
            expression = CronExpression.parse(rule["cron"])
        except InvalidRequest as error:
            raise InvalidRequest(f"{field}.cron", error.problems[0].message) from None
        if expression.pattern.times.total > MOST_WINDOWS_A_DAY:
            message = f"begins more than {MOST_WINDOWS_A_DAY} times a day: name the times at which a window begins"
            raise InvalidRequest(f"{field}.cron", message, given=rule["cron"])
        length = parse_duration(rule["duration"], f"{field}.duration", at_least=1_000_000, at_most=LONGEST_WINDOW)
        return cls(expression, timedelta(microseconds=length))

    @property
    def a_day(self) -> int:
        """Maximum number of windows that begin on a day."""
        return self.expression.pattern.times.total

    def row(self, year: int) -> bytes:
        """Return one byte for each day of the year: 1 if a window begins on it."""
        return self.expression.pattern.row(year)

    def spans(self) -> list[tuple[int, int]]:
        """Return begin and end of each window that begins on a day, in microseconds of that day."""
        duration = self.duration // _MICROSECOND
        return [
            (start // _MICROSECOND, start // _MICROSECOND + duration)
            for start in _starts(_clock_times(self.expression))
        ]

    def reason(self, instant: datetime, zone: ZoneInfo) -> str | None:
        """Return why a UTC instant is excluded; None: it is not."""
        begin = _cron(self.expression, zone).next_after(instant - self.duration)
        if begin is None or begin > instant:
            return None
        return f"window {self.expression.text} for {describe_duration(self.duration // _MICROSECOND)}"

    def stretches(self, begin: datetime, end: datetime, zone: ZoneInfo) -> Iterator[Stretch]:
        """Yield the whole windows that overlap the time from `begin` to before `end`; they may overlap each other."""
        begin = begin - self.duration + _MICROSECOND
        before: SteadyTime | None = None
        for steady in steady_times(zone, begin - _UNSETTLED, end):
            # Around a clock change, the cron expression determines the windows one by one.
            set_by = timedelta(0) if before is None else abs(steady.offset - before.offset)
            settled = min(steady.begin + set_by, steady.end)
            yield from self._one_by_one(max(steady.begin, begin), settled, zone)
            yield from self._day_by_day(max(settled, begin), steady.end, steady.offset)
            before = steady

    def _one_by_one(self, begin: datetime, end: datetime, zone: ZoneInfo) -> Iterator[Stretch]:
        """Yield the windows that begin from `begin` to before `end`."""
        cron = _cron(self.expression, zone)
        start = cron.first(begin)
        while start is not None and start < end:
            yield Stretch(start, start + self.duration)
            start = cron.next_after(start)

    def _day_by_day(self, begin: datetime, end: datetime, offset: timedelta) -> Iterator[Stretch]:
        """Yield the windows of days without clock change, `offset` ahead of UTC: each day has the same windows."""
        if begin >= end:
            return
        wall, last = (each.replace(tzinfo=None) + offset for each in (begin, end))
        day = datetime(wall.year, wall.month, wall.day)
        spans = _spans(_clock_times(self.expression), self.duration)
        pattern = self.expression.pattern
        while day < last:
            if pattern.has_day(day):
                midnight = begin + (day - wall)
                if wall <= day and day + _DAY <= last:
                    yield from (Stretch(midnight + first, midnight + until) for first, until in spans)
                else:
                    for start in _starts(_clock_times(self.expression)):
                        if begin <= midnight + start < end:
                            yield Stretch(midnight + start, midnight + start + self.duration)
            day += _DAY

    def to_spec(self) -> dict[str, Any]:
        return {"cron": self.expression.text, "duration": seconds_of(self.duration // _MICROSECOND)}


def _clock_times(expression: CronExpression) -> ClockTimes:
    times = expression.pattern.times
    assert isinstance(times, ClockTimes)  # cron expressions consist of these
    return times


@lru_cache(maxsize=1024)
def _spans(times: ClockTimes, duration: timedelta) -> tuple[tuple[timedelta, timedelta], ...]:
    """Return the windows of a day from its midnight; touching ones are merged."""
    spans: list[tuple[timedelta, timedelta]] = []
    for start in _starts(times):
        if spans and start <= spans[-1][1]:
            spans[-1] = spans[-1][0], start + duration
        else:
            spans.append((start, start + duration))
    return tuple(spans)


@lru_cache(maxsize=1024)
def _starts(times: ClockTimes) -> tuple[timedelta, ...]:
    starts: list[timedelta] = []
    second = times.after(-1)
    while second is not None:
        starts.append(timedelta(seconds=second))
        second = times.after(second)
    return tuple(starts)


@lru_cache(maxsize=1024)
def _cron(expression: CronExpression, zone: ZoneInfo) -> Cron:
    return Cron(expression, zone)
