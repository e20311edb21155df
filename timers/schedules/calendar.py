"""Calendar: schedule expressions of Jakarta Enterprise Beans, on the wall clock of a time zone.

The seven attributes are optional fields of the spec: `second`, `minute` and `hour` default to "0", the others to "*".
If both day attributes are given, a day that matches either of them matches (core features, Timer Service, "Expression
Rules"). The expression's start, end and time zone are the timer's start_at, end_at and time_zone.

The specification does not cover clock changes. As with cron, an expression whose minute and hour name times of the day
fires once for each of them on every day; one that begins with a star there follows what the clock shows. `gap` and
`fold` override this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Self
from zoneinfo import ZoneInfo

from timers.domain.errors import ErrorCollector
from timers.domain.json_schema import Schema
from timers.exceptions import InvalidRequest
from timers.schedules.calendar_fields import (
    ALL_FIELDS,
    DAY_OF_MONTH,
    DAY_OF_WEEK,
    HOUR,
    MINUTE,
    MONTH,
    SECOND,
    YEAR,
)  # fmt: skip
from timers.schedules.clock_policy import BY_DEFAULT, ClockPolicy
from timers.schedules.clock_policy import FIELDS as POLICY_FIELDS
from timers.schedules.clock_policy import KEYWORDS as POLICY_KEYWORDS
from timers.schedules.day_rules import DayRule, DayTerm, Weekdays
from timers.schedules.kinds import Keyword, register
from timers.schedules.never import why_never
from timers.schedules.pattern_words import pattern_in_words
from timers.schedules.spec_fields import SpecFields
from timers.schedules.times_of_day import ClockTimes
from timers.schedules.wall_pattern import WallPattern
from timers.schedules.wall_schedule import WallSchedule
from timers.schedules.zones import zone

_NAMES = tuple(field_.name for field_ in ALL_FIELDS)
_SCHEMA: Final[Schema] = {"type": ["string", "integer"]}
_HELP_TEXTS: Final = {
    "second": "0-59; a list, a range, */5; empty: 0.",
    "minute": "0-59; empty: 0.",
    "hour": "0-23; empty: 0.",
    "day_of_month": "1-31, Last, -7 to -1 (days before the last), 1st Sun to 5th Sat, Last Fri; empty: *.",
    "month": "1-12 or Jan-Dec; empty: *.",
    "day_of_week": "0-7 or Sun-Sat (0 and 7 are Sunday); empty: *.",
    "year": "such as 2027-2030; empty: *.",
}


@register
@dataclass(frozen=True, slots=True)
class Calendar(WallSchedule):
    """Due whenever the wall clock of the zone matches all attributes."""

    kind: ClassVar[str] = "calendar"
    summary: ClassVar[str] = "fire when the clock matches the attributes of a calendar expression"
    keywords: ClassVar[tuple[Keyword, ...]] = (
        *(Keyword(name, _SCHEMA, help_text) for name, help_text in _HELP_TEXTS.items()),
        *POLICY_KEYWORDS,
    )
    example: ClassVar[Mapping[str, Any]] = {"hour": 6, "day_of_month": "Last"}

    texts: tuple[str, ...]
    """The seven attributes, from second to year, as they were given."""
    zone: ZoneInfo
    pattern: WallPattern = field(repr=False, compare=False)
    given_policy: ClockPolicy = BY_DEFAULT

    @classmethod
    def parse(cls, spec: Mapping[str, Any], time_zone: str) -> Self:
        fields = SpecFields(spec, cls.kind, optional=(*_NAMES, *POLICY_FIELDS))
        texts, pattern = fields.check(lambda: _read(spec), ((), None))
        where, policy = fields.check(lambda: zone(time_zone)), fields.check(lambda: ClockPolicy.parse(spec))
        fields.raise_if_any()
        return cls(texts, where, pattern, policy)

    @property
    def walls(self) -> WallPattern:
        return self.pattern

    @property
    def policy(self) -> ClockPolicy:
        goes_on = any(self.texts[ALL_FIELDS.index(attribute)].startswith("*") for attribute in (MINUTE, HOUR))
        return self.given_policy.completed(once_a_day=not goes_on)

    def describe(self) -> str:
        return f"{pattern_in_words(self.pattern)}, {self.zone.key}"

    def to_spec(self) -> dict[str, Any]:
        given = {a.name: text for a, text in zip(ALL_FIELDS, self.texts, strict=True) if text != a.default}
        return {**given, **self.given_policy.to_spec()}

    def meaning(self) -> object:
        return self.pattern.meaning(), self.policy


def _read(spec: Mapping[str, Any]) -> tuple[tuple[str, ...], WallPattern]:
    """Return the attributes' texts and their pattern. Raises InvalidRequest that names every invalid attribute."""
    mistakes = ErrorCollector()
    texts: dict[str, str] = {}
    values: dict[str, tuple[int, ...]] = {}
    days: tuple[DayTerm, ...] | None = None
    for attribute in ALL_FIELDS:
        try:
            text = texts[attribute.name] = attribute.text(spec.get(attribute.name, attribute.default))
            if attribute is DAY_OF_MONTH:
                days = None if text == "*" else DAY_OF_MONTH.read_days(text)
            elif text != "*" or attribute is not YEAR:
                values[attribute.name] = attribute.read(text)
        except InvalidRequest as error:
            mistakes.add(error)
    mistakes.raise_if_any()
    # The range 0-7 "is equivalent to *" ("Range"); 0-6 names seven days explicitly.
    any_weekday = texts[DAY_OF_WEEK.name] in ("*", "0-7")
    weekdays = None if any_weekday else (Weekdays(frozenset(day % 7 for day in values[DAY_OF_WEEK.name])),)
    pattern = WallPattern(
        ClockTimes(values[HOUR.name], values[MINUTE.name], values[SECOND.name]),
        DayRule(days, weekdays, either=days is not None and weekdays is not None),
        values[MONTH.name],
        None if texts[YEAR.name] == "*" else values[YEAR.name],
    )
    if not pattern.ever_matches():
        missing = why_never(pattern)
        why = f"{missing}; Last is the last day of every month" if missing else "no month asked for has such a day"
        raise InvalidRequest("day_of_month", f"never fires: {why}", given=spec.get("day_of_month", "*"))
    return tuple(texts.values()), pattern
