"""An oracle for schedules on the wall: it looks at every step of time, and shares no code with the product.

A clock is walked through in steps of five minutes, on which every clock change since 2000 lies. What it shows anew is
read off against a rule's own words; what it jumps over is a gap, what it shows again is a fold.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

STEP = timedelta(minutes=5)
DAY = timedelta(days=1)
YEARS = (2020, 2037)
ZONES = (
    "Europe/Berlin", "Europe/London", "Europe/Dublin", "Europe/Lisbon", "Europe/Moscow", "Europe/Istanbul",
    "Europe/Chisinau", "Atlantic/Azores", "Atlantic/Reykjavik", "Africa/Casablanca", "Africa/Cairo", "UTC",
    "America/New_York", "America/St_Johns", "America/Chicago", "America/Los_Angeles", "America/Phoenix",
    "America/Havana", "America/Santiago", "America/Asuncion", "America/Sao_Paulo", "America/Mexico_City",
    "America/Nuuk", "America/Scoresbysund", "Asia/Kathmandu", "Asia/Kolkata", "Asia/Tehran", "Asia/Gaza",
    "Asia/Jerusalem", "Asia/Beirut", "Asia/Amman", "Asia/Tokyo", "Australia/Lord_Howe", "Australia/Sydney",
    "Australia/Adelaide", "Pacific/Apia", "Pacific/Auckland", "Pacific/Chatham", "Pacific/Easter", "Antarctica/Troll",
)  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """A schedule, and what it means said a second time: minutes of the day, and whether a date is one of its days."""

    kind: str
    spec: Mapping[str, Any]
    minutes: frozenset[int]
    is_day: Callable[[date], bool]
    gap: str
    fold: str
    _days: dict[date, bool] = field(default_factory=dict)

    def __str__(self) -> str:
        return " ".join(map(str, self.spec.values()))

    def matches(self, day: date, minute: int) -> bool:
        if minute not in self.minutes:
            return False
        if day not in self._days:
            self._days[day] = self.is_day(day)
        return self._days[day]


@dataclass(frozen=True, slots=True)
class Shown:
    """What the clock shows at an instant: again, when it has shown as much or more before."""

    instant: datetime
    day: date
    minute: int
    again: bool
    skipped: tuple[tuple[date, int], ...]


def walked(zone: str, start: datetime, end: datetime) -> list[Shown]:
    """The clock of a zone from `start` to before `end`; no change may lie in the first hours."""
    shown = []
    clock, instant = ZoneInfo(zone), start
    highest = start.astimezone(clock).replace(tzinfo=None) - STEP
    while instant < end:
        wall = instant.astimezone(clock).replace(tzinfo=None)
        skipped = []
        while highest + STEP < wall:
            highest += STEP
            skipped.append((highest.date(), highest.hour * 60 + highest.minute))
        shown.append(Shown(instant, wall.date(), wall.hour * 60 + wall.minute, wall <= highest, tuple(skipped)))
        highest = max(highest, wall)
        instant += STEP
    return shown


def expected(rule: Rule, shown: Iterable[Shown]) -> list[datetime]:
    """The instants of a rule among what was shown."""
    after_gap, twice = rule.gap == "run_after", rule.fold == "twice"
    return [
        s.instant
        for s in shown
        if (rule.matches(s.day, s.minute) and (twice or not s.again))
        or (s.skipped and after_gap and any(rule.matches(*skipped) for skipped in s.skipped))
    ]


@cache
def changes(zone: str) -> tuple[datetime, ...]:
    """The instants in YEARS at which the clock of a zone is set, found by looking at every day, then every step."""
    clock, found = ZoneInfo(zone), []
    instant, end = datetime(YEARS[0], 1, 1, tzinfo=UTC), datetime(YEARS[1] + 1, 1, 1, tzinfo=UTC)
    while instant < end:
        if (instant + DAY).astimezone(clock).utcoffset() != instant.astimezone(clock).utcoffset():
            before = instant.astimezone(clock).utcoffset()
            change = instant
            while change.astimezone(clock).utcoffset() == before:
                change += STEP
            found.append(change)
        instant += DAY
    return tuple(found)


def at(*times: str) -> frozenset[int]:
    return frozenset(int(time[:2]) * 60 + int(time[3:]) for time in times)


def every(step: int, first: str = "00:00", last: str = "23:59") -> frozenset[int]:
    (low,), (high,) = at(first), at(last)
    return frozenset(range(low, high + 1, step))


def length(day: date) -> int:
    return calendar.monthrange(day.year, day.month)[1]


def is_any_day(day: date) -> bool:
    return True


def is_nearest_weekday(day: date, number: int) -> bool:
    aim = day.replace(day=number)
    weekdays = [d for d in (aim + n * DAY for n in (0, -1, 1, -2, 2)) if d.isoweekday() < 6 and d.month == aim.month]
    return day == weekdays[0]


def is_27_to_3(day: date) -> bool:
    return day.day >= 27 or day.day <= 3


ANEW, AS_SHOWN = ("run_after", "once"), ("skip", "twice")


def _cron(expression: str, minutes: frozenset[int], is_day: Callable[[date], bool], policy: tuple[str, str]) -> Rule:
    return Rule("cron", {"expression": expression}, minutes, is_day, *policy)


def _given(expression: str, minutes: frozenset[int], policy: tuple[str, str], **given: str) -> Rule:
    return Rule("cron", {"expression": expression, **given}, minutes, is_any_day, *policy)


RULES = (
    _cron("30 2 * * *", at("02:30"), is_any_day, ANEW),
    _cron("0 0 * * *", at("00:00"), is_any_day, ANEW),
    _cron("0 * * * *", every(60), is_any_day, AS_SHOWN),
    _cron("*/30 * * * *", every(30), is_any_day, AS_SHOWN),
    _cron("*/15 0-3 * * *", every(15, "00:00", "03:59"), is_any_day, AS_SHOWN),
    _cron("0 */6 * * *", every(360), is_any_day, AS_SHOWN),
    _cron("15,45 1-3 * * *", every(30, "01:15", "03:59"), is_any_day, ANEW),
    _cron("45 23 * * MON-FRI", at("23:45"), lambda d: d.isoweekday() <= 5, ANEW),
    _cron("0 3 * * 0", at("03:00"), lambda d: d.isoweekday() == 7, ANEW),
    _cron("0 2 L * *", at("02:00"), lambda d: d.day == length(d), ANEW),
    _cron("0 2 L-3 * ?", at("02:00"), lambda d: d.day == length(d) - 3, ANEW),
    _cron("0 1 1W,29W * *", at("01:00"), lambda d: any(
        is_nearest_weekday(d, n) for n in (1, 29) if n <= length(d)), ANEW),
    _cron("30 1 1,15 * 5", at("01:30"), lambda d: d.day in (1, 15) or d.isoweekday() == 5, ANEW),
    _cron("0 0 */2 * sun", at("00:00"), lambda d: d.day % 2 == 1 and d.isoweekday() == 7, ANEW),
    _cron("30 2 * * 7L", at("02:30"), lambda d: d.isoweekday() == 7 and d.day > length(d) - 7, ANEW),
    _cron("30 0 * * 1#2", at("00:30"), lambda d: d.isoweekday() == 1 and 8 <= d.day <= 14, ANEW),
    _cron("0 0 2,3 ? 3,4,10,11 * 2024-2031", at("02:00", "03:00"),
          lambda d: d.month in (3, 4, 10, 11) and 2024 <= d.year <= 2031, ANEW),
    _given("30 2 * * *", at("02:30"), ("skip", "once"), gap="skip"),
    _given("30 1,2 * * *", at("01:30", "02:30"), ("run_after", "twice"), fold="twice"),
    _given("*/30 * * * *", every(30), ("run_after", "once"), gap="run_after", fold="once"),
    _given("0 * * * *", every(60), ("skip", "once"), fold="once"),
    Rule("calendar", {"hour": 2, "minute": "30", "day_of_month": "Last Sun"}, at("02:30"),
         lambda d: d.isoweekday() == 7 and d.day > length(d) - 7, *ANEW),
    Rule("calendar", {"minute": "*/20", "hour": "0-4", "day_of_week": "Sat-Mon", "gap": "run_after"},
         every(20, "00:00", "04:59"), lambda d: d.isoweekday() in (6, 7, 1), "run_after", "twice"),
    Rule("calendar", {"hour": "23-1", "day_of_month": "27-3", "gap": "skip", "fold": "twice"},
         at("23:00", "00:00", "01:00"), is_27_to_3, "skip", "twice"),
)  # fmt: skip
