"""Window: repeatedly within a window of the day, as in "13:00 to 15:00, every 30 minutes, on weekdays".

The end is exclusive, as in JobScheduler's absolute_repeat: that window gives 13:00, 13:30, 14:00 and 14:30. A window
that ends before it begins continues over midnight and belongs to the day on which it begins.

At a clock change, a window follows what the clock shows (gap skip, fold twice), like a cron expression that repeats
through the hours; one that fires once a day does so on every day (run_after, once). `gap` and `fold` override this.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Self
from zoneinfo import ZoneInfo

from timers.domain.json_schema import DURATION, TEXT, maybe
from timers.exceptions import InvalidRequest
from timers.schedules.clock_policy import BY_DEFAULT, ClockPolicy
from timers.schedules.clock_policy import FIELDS as POLICY_FIELDS
from timers.schedules.clock_policy import KEYWORDS as POLICY_KEYWORDS
from timers.schedules.day_rules import EVERY_DAY, DayRule, Weekdays
from timers.schedules.duration import MICROSECONDS_PER_SECOND, describe_duration, parse_duration
from timers.schedules.kinds import Keyword, list_from_text, number_or_text, register
from timers.schedules.names_in_words import WEEKDAYS, listed
from timers.schedules.spec_fields import SpecFields
from timers.schedules.times_of_day import RegularTimes
from timers.schedules.wall_pattern import WallPattern
from timers.schedules.wall_schedule import Walls, WallSchedule
from timers.schedules.weekday_names import monday_first, parse_weekdays, weekday_names
from timers.schedules.zones import zone

_DAY = 86_400
_ALL_WEEKDAYS = frozenset(range(7))
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?")


@register
@dataclass(frozen=True, slots=True)
class Window(WallSchedule):
    """Due at `begin` and every `every` seconds after it until before `end`, on these days of the week."""

    kind: ClassVar[str] = "window"
    summary: ClassVar[str] = "fire repeatedly within a window of the day"
    keywords: ClassVar[tuple[Keyword, ...]] = (
        Keyword(
            "begin", {**TEXT, "examples": ["13:00"]}, "when it begins on the wall clock, such as 13:00.",
            is_required=True,
        ),
        Keyword(
            "end", {**TEXT, "examples": ["15:00"]}, "when it ends, such as 15:00; nothing fires at that instant.",
            is_required=True,
        ),
        Keyword(
            "every", DURATION, "seconds between two fires from its begin on, or ISO 8601 such as PT30M.",
            is_required=True, from_text=number_or_text,
        ),
        Keyword(
            "weekdays", maybe({"type": "array", "items": TEXT}),
            "the days on which it begins, such as mon, tue; empty: every day.", from_text=list_from_text,
        ),
        *POLICY_KEYWORDS,
    )  # fmt: skip
    example: ClassVar[Mapping[str, Any]] = {"begin": "13:00", "end": "15:00", "every": 1800}

    begin: int
    """Second of the day, as is `end`, which is on the next day if it is not after `begin`."""
    end: int
    every: int
    weekdays: frozenset[int]
    """Days on which the window begins, from 0 (Sunday) to 6."""
    zone: ZoneInfo
    given_policy: ClockPolicy = BY_DEFAULT
    _walls: Walls = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_walls", _walls(self._times, self.weekdays))

    @classmethod
    def parse(cls, spec: Mapping[str, Any], time_zone: str) -> Self:
        fields = SpecFields(spec, cls.kind, "begin", "end", "every", optional=("weekdays", *POLICY_FIELDS))
        begin, end, every = fields.read("begin", _begin), fields.read("end", _end), fields.read("every", _every)
        given = spec.get("weekdays")
        weekdays = _ALL_WEEKDAYS if given is None else fields.read("weekdays", parse_weekdays)
        if begin is not None and begin == end:
            message = "is also the begin, so that the window is empty; a whole day is 00:00 to 24:00"
            fields.add(InvalidRequest("end", message, given=spec["end"]))
        where, policy = fields.check(lambda: zone(time_zone)), fields.check(lambda: ClockPolicy.parse(spec))
        fields.raise_if_any()
        return cls(begin, end, every, weekdays, where, policy)

    @property
    def walls(self) -> Walls:
        return self._walls

    @property
    def policy(self) -> ClockPolicy:
        return self.given_policy.completed(once_a_day=len(self._times) == 1)

    def describe(self) -> str:
        often = describe_duration(self.every * MICROSECONDS_PER_SECOND)
        return f"every {often} from {_text(self.begin)} to before {_text(self.end)} {self._days}, {self.zone.key}"

    def to_spec(self) -> dict[str, Any]:
        weekdays = {} if self.weekdays == _ALL_WEEKDAYS else {"weekdays": weekday_names(self.weekdays)}
        times = {"begin": _text(self.begin), "end": _text(self.end), "every": self.every}
        return {**times, **weekdays, **self.given_policy.to_spec()}

    def meaning(self) -> object:
        # Two ends are equal if the same times lie before them.
        return self._times, self.weekdays, self.policy

    @property
    def _times(self) -> range:
        """Seconds of the day; from 86,400 on they are on the day after."""
        return range(self.begin, self.end if self.end > self.begin else self.end + _DAY, self.every)

    @property
    def _days(self) -> str:
        if self.weekdays == _ALL_WEEKDAYS:
            return "every day"
        if self.weekdays == frozenset(range(1, 6)):
            return "Monday to Friday"
        return f"on {listed([WEEKDAYS[number] for number in monday_first(self.weekdays)])}"


@dataclass(frozen=True, slots=True)
class _OverMidnight:
    """Walls of a window on the days on which it begins, and on the days after."""

    evening: WallPattern
    morning: WallPattern

    def after(self, wall: datetime) -> datetime | None:
        found = [at for at in (self.evening.after(wall), self.morning.after(wall)) if at is not None]
        return min(found, default=None)

    def count(self, start: datetime, end: datetime) -> int:
        return self.evening.count(start, end) + self.morning.count(start, end)

    def masks(self, first: int, last: int) -> Iterator[int]:
        """Yield the matching seconds of each day from one to another (proleptic ordinals), see second_masks.py."""
        known: dict[tuple[int, int], int] = {}  # equal days must be one object
        for evening, morning in zip(self.evening.masks(first, last), self.morning.masks(first, last), strict=True):
            key = id(evening), id(morning)
            if key not in known:
                known[key] = evening | morning
            yield known[key]


def _walls(times: range, weekdays: frozenset[int]) -> Walls:
    evening = range(times.start, min(times.stop, _DAY), times.step)
    pattern = WallPattern(RegularTimes(evening), _on(weekdays))
    if times[-1] < _DAY:
        return pattern
    morning = range(times[len(evening)] - _DAY, times.stop - _DAY, times.step)
    return _OverMidnight(pattern, WallPattern(RegularTimes(morning), _on({(day + 1) % 7 for day in weekdays})))


def _on(weekdays: frozenset[int] | set[int]) -> DayRule:
    return EVERY_DAY if len(weekdays) == len(_ALL_WEEKDAYS) else DayRule(of_week=(Weekdays(frozenset(weekdays)),))


def _begin(value: Any, field_name: str) -> int:
    second = _time_of_day(value, field_name)
    if second == _DAY:
        raise InvalidRequest(field_name, "is the end of the day: write 00:00", given=value)
    return second


def _end(value: Any, field_name: str) -> int:
    return _time_of_day(value, field_name)


def _every(value: Any, field_name: str) -> int:
    longest = _DAY * MICROSECONDS_PER_SECOND
    length = parse_duration(value, field_name, at_least=MICROSECONDS_PER_SECOND, at_most=longest)
    if length % MICROSECONDS_PER_SECOND:
        raise InvalidRequest(field_name, "must be whole seconds", given=value)
    return length // MICROSECONDS_PER_SECOND


def _time_of_day(value: Any, field_name: str) -> int:
    found = _TIME.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        hint = "; in YAML write it in quotes" if isinstance(value, int) else ""
        raise InvalidRequest(field_name, f"must be a time of day such as 13:00 or 13:00:30{hint}", given=value)
    hour, minute, second = (int(part or 0) for part in found.groups())
    if (hour, minute, second) != (24, 0, 0) and (hour > 23 or minute > 59 or second > 59):
        raise InvalidRequest(field_name, "must be a time of day from 00:00 to 24:00", given=value)
    return hour * 3_600 + minute * 60 + second


def _text(second: int) -> str:
    hour, minute, second = second // 3_600, second // 60 % 60, second % 60
    return f"{hour:02}:{minute:02}:{second:02}" if second else f"{hour:02}:{minute:02}"
