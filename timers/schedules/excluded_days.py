"""Rules of exclusion calendars that exclude whole days."""

from __future__ import annotations

import re
from calendar import isleap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol, Self

from timers.exceptions import InvalidRequest
from timers.schedules.names_in_words import MONTHS, WEEKDAYS
from timers.schedules.weekday_names import parse_weekdays, weekday_names

MOST_DATES = 5_000
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MONTH_AND_DAY = re.compile(r"(?:--)?([0-9]{1,2})-([0-9]{1,2})")
_LONGEST_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class DayRule(Protocol):
    """A rule that excludes whole days."""

    def reason(self, day: date) -> str | None:
        """Return why the day is excluded; None: it is not."""

    def row(self, year: int) -> bytes:
        """Return one byte for each day of the year: 1 if it is excluded."""

    def to_spec(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class ExcludedWeekdays:
    """Days of the week, from 0 (Sunday) to 6."""

    weekdays: frozenset[int]

    @classmethod
    def parse(cls, rule: Mapping[str, Any], field: str) -> Self:
        return cls(parse_weekdays(rule["weekdays"], f"{field}.weekdays"))

    def reason(self, day: date) -> str | None:
        weekday = day.isoweekday() % 7
        return WEEKDAYS[weekday] if weekday in self.weekdays else None

    def row(self, year: int) -> bytes:
        first = date(year, 1, 1).isoweekday()
        return (bytes((first + day) % 7 in self.weekdays for day in range(7)) * 53)[: 365 + isleap(year)]

    def to_spec(self) -> dict[str, Any]:
        return {"weekdays": weekday_names(self.weekdays)}


@dataclass(frozen=True, slots=True)
class ExcludedDates:
    """Single dates."""

    dates: frozenset[date]

    @classmethod
    def parse(cls, rule: Mapping[str, Any], field: str) -> Self:
        field = f"{field}.dates"
        return cls(frozenset(_date(text, field) for text in _listed(rule["dates"], field, "2026-12-31")))

    def reason(self, day: date) -> str | None:
        return day.isoformat() if day in self.dates else None

    def row(self, year: int) -> bytes:
        return row_of(year, (day for day in self.dates if day.year == year))

    def to_spec(self) -> dict[str, Any]:
        return {"dates": [day.isoformat() for day in sorted(self.dates)]}


@dataclass(frozen=True, slots=True)
class ExcludedYearly:
    """Dates of every year: (month, day). The 29th of February is excluded in leap years."""

    days: frozenset[tuple[int, int]]

    @classmethod
    def parse(cls, rule: Mapping[str, Any], field: str) -> Self:
        field = f"{field}.yearly"
        return cls(frozenset(_month_and_day(text, field) for text in _listed(rule["yearly"], field, "12-24")))

    def reason(self, day: date) -> str | None:
        return f"every {day.day} {MONTHS[day.month - 1]}" if (day.month, day.day) in self.days else None

    def row(self, year: int) -> bytes:
        return row_of(year, (date(year, *day) for day in self.days if day != (2, 29) or isleap(year)))

    def to_spec(self) -> dict[str, Any]:
        return {"yearly": [f"{month:02}-{day:02}" for month, day in sorted(self.days)]}


@dataclass(frozen=True, slots=True)
class ExcludedRange:
    """All days from the first to the last, both included."""

    first: date
    last: date

    @classmethod
    def parse(cls, rule: Mapping[str, Any], field: str) -> Self:
        first, last = _date(rule["from"], f"{field}.from"), _date(rule["to"], f"{field}.to")
        if last < first:
            raise InvalidRequest(f"{field}.to", "must not lie before from", given=rule["to"])
        return cls(first, last)

    def reason(self, day: date) -> str | None:
        return f"{self.first} to {self.last}" if self.first <= day <= self.last else None

    def row(self, year: int) -> bytes:
        new_year, length = date(year, 1, 1).toordinal(), 365 + isleap(year)
        first = min(max(self.first.toordinal() - new_year, 0), length)
        end = min(max(self.last.toordinal() + 1 - new_year, 0), length)
        return bytes(first) + b"\x01" * (end - first) + bytes(length - end)

    def to_spec(self) -> dict[str, Any]:
        return {"from": self.first.isoformat(), "to": self.last.isoformat()}


def row_of(year: int, days: Iterable[date]) -> bytes:
    """Return one byte for each day of the year: 1 for the given days."""
    row, before = bytearray(365 + isleap(year)), date(year, 1, 1).toordinal()
    for day in days:
        row[day.toordinal() - before] = 1
    return bytes(row)


def _listed(value: Any, field: str, example: str) -> list[Any]:
    if not isinstance(value, (list, tuple)) or not value:
        raise InvalidRequest(field, f'must be a list of dates, such as ["{example}"]', given=value)
    if len(value) > MOST_DATES:
        raise InvalidRequest(field, f"has {len(value):,} dates: at most {MOST_DATES:,} are allowed")
    return list(value)


def _date(value: Any, field: str) -> date:
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise InvalidRequest(field, "must be a date such as 2026-12-31", given=value)
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise InvalidRequest(field, f"is no date: {error}", given=value) from None


def _month_and_day(value: Any, field: str) -> tuple[int, int]:
    found = _MONTH_AND_DAY.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise InvalidRequest(field, "must be month and day, such as 12-24 for the 24th of December", given=value)
    month, day = int(found[1]), int(found[2])
    if not 1 <= month <= 12:
        hint = f", did you mean {day:02}-{month:02}? The month comes first" if 1 <= day <= 12 else ""
        raise InvalidRequest(field, f"has no month from 01 to 12{hint}", given=value)
    if not 1 <= day <= _LONGEST_MONTH[month - 1]:
        raise InvalidRequest(field, f"has a day that {MONTHS[month - 1]} has not", given=value)
    return month, day
