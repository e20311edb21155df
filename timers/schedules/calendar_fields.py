"""Attributes of a calendar schedule: their syntax and their values.

The syntax is that of Jakarta Enterprise Beans 4.0, core features, Timer Service, "Attribute Syntax": single values, the
wildcard, lists of values and ranges, ranges that wrap around, and increments of the time of day.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from timers.exceptions import InvalidRequest
from timers.schedules.cron_fields import MONTH_NAMES, WEEKDAY_NAMES
from timers.schedules.day_rules import BeforeLast, DayRange, DayTerm, LastWeekday, NthWeekday, Numbers

LONGEST = 256  # characters
_MONTHS = {name: n for n, name in enumerate(MONTH_NAMES, 1)}
_WEEKDAYS = {name: n for n, name in enumerate(WEEKDAY_NAMES)}
_ORDINALS = {"1ST": 1, "2ND": 2, "3RD": 3, "4TH": 4, "5TH": 5}

_SINGLE = r"(?:-?[0-9]+|[0-9]*[A-Z]+(?: [A-Z]+)?)"
_TERM = re.compile(rf"({_SINGLE})(?: ?- ?({_SINGLE}))?")
_INCREMENT = re.compile(r"(\*|[0-9]+) ?/ ?([0-9]+)")


@dataclass(frozen=True, slots=True)
class CalendarField:
    """One attribute: its values from `low` to `high`, and their names."""

    name: str
    default: str
    low: int
    high: int
    allowed: str
    names: Mapping[str, int] = field(default_factory=dict, hash=False)
    increments: bool = False

    def text(self, given: Any) -> str:
        """Return the given value as text without unnecessary spaces.

        Raises InvalidRequest if it is neither text nor number.
        """
        if given == self.default and isinstance(given, str):
            return given
        if isinstance(given, int) and not isinstance(given, bool):
            if abs(given) >= 10_000:
                raise InvalidRequest(self.name, f"has too many digits; {self._rules}")
            given = str(given)
        if not isinstance(given, str):
            raise InvalidRequest(self.name, f"must be a text or a whole number; {self._rules}", given=given)
        if len(given) > LONGEST:
            raise InvalidRequest(self.name, f"has more than {LONGEST} characters", given=given)
        foreign = re.search(r"[^ -~\t]", given)
        if foreign:
            raise InvalidRequest(self.name, f"holds {foreign[0]!r}, which no calendar expression has", given=given)
        return re.sub(r" ?([,/]) ?", r"\1", " ".join(given.split()))

    def read(self, text: str) -> tuple[int, ...]:
        """Return the values of the attribute's text, sorted."""
        if text == "*":
            return tuple(range(self.low, self.high + 1))
        if "/" in text and "," not in text:
            return tuple(self._increment(text))
        # Rising spans first: overlapping ranges of thousands of years are processed once.
        values: list[int] = []
        for span in sorted((span for term in self._terms(text) for span in self._spans(*term)), key=_bounds):
            values += range(max(span.start, values[-1] + 1) if values else span.start, span.stop)
        return tuple(values)

    def _terms(self, text: str) -> Iterable[tuple[str, str | None, str]]:
        """Yield the terms of a list: the first value, the last value of a range, and the term as written."""
        for written in text.split(","):
            found = _TERM.fullmatch(written.upper())
            if found is None:
                raise self._refused(written, text, self._hint(written, text))
            yield found[1], found[2], written

    def _spans(self, first: str, last: str | None, written: str) -> list[range]:
        low = self._value(first, written)
        high = low if last is None else self._value(last, written)
        if low <= high:
            return [range(low, high + 1)]
        return [range(low, self.high + 1), range(self.low, high + 1)]

    def _increment(self, text: str) -> Iterable[int]:
        found = _INCREMENT.fullmatch(text)
        if not self.increments:
            raise self._refused(text, text, " (increments belong to second, minute and hour)")
        if found is None:
            raise self._refused(text, text, " (an increment is a start and a step, such as 0/15)")
        start, step = (0 if part == "*" else self._value(part, text) for part in found.groups())
        # A step of 0 is within the specification's limits but never advances.
        return range(start, self.high + 1, step) if step else [start]

    def _value(self, text: str, written: str) -> int:
        if text in self.names:
            return self.names[text]
        if re.fullmatch(r"[0-9]{1,4}", text) and self.low <= int(text) <= self.high:
            return int(text)
        raise self._refused(text, written, self._nearest(text))

    def _nearest(self, text: str) -> str:
        near = difflib.get_close_matches(text, self.names, n=1, cutoff=0.6) or [n for n in self.names if text[:3] == n]
        return f", did you mean {near[0].capitalize()}?" if near and not text.isdigit() else ""

    def _hint(self, written: str, text: str) -> str:
        if written == "*" or "/" in written:
            return f" ({'a wild card' if written == '*' else 'an increment'} stands alone, not in a list)"
        if written == "":
            return " (a comma stands between two values)" if text else ""
        return ""

    @property
    def _rules(self) -> str:
        return f"allowed are {self.allowed}, *, lists, ranges" + (", increments x/y" if self.increments else "")

    def _refused(self, term: str, text: str, hint: str = "") -> InvalidRequest:
        as_written = re.search(re.escape(term), text, re.IGNORECASE)
        return InvalidRequest(
            self.name, f"has {(as_written[0] if as_written else term)!r}{hint}; {self._rules}", given=text
        )


@dataclass(frozen=True, slots=True)
class DayOfMonthAttribute(CalendarField):
    """Days by number, from the month's end, or as the nth day of a name; ranges between any two of them."""

    def read_days(self, text: str) -> tuple[DayTerm, ...]:
        """Return the terms of the attribute's text."""
        if "/" in text and "," not in text:
            self._increment(text)
        return tuple(dict.fromkeys(self._day_term(*term) for term in self._terms(text)))

    def _day_term(self, first: str, last: str | None, written: str) -> DayTerm:
        start = self._day(first, written)
        if last is None or first == last:
            return start
        end = self._day(last, written)
        if isinstance(start, Numbers) and isinstance(end, Numbers):
            low, high = min(start.numbers), min(end.numbers)
            if low <= high:
                return Numbers(frozenset(range(low, high + 1)))
        return DayRange(start, end)

    def _nearest_weekday(self, text: str) -> str:
        names = [name.capitalize() for name in _WEEKDAYS]
        near = difflib.get_close_matches(text[:3].capitalize(), names, n=1, cutoff=0.6)
        return f" (the day of the week is one of {', '.join(names)}{f': did you mean {near[0]}?' if near else ''})"

    def _day(self, text: str, written: str) -> DayTerm:
        if text == "LAST":
            return BeforeLast(0)
        if text.startswith("-"):
            if not re.fullmatch(r"-[1-7]", text):
                raise self._refused(text, written, " (from -7 to -1: so many days before the last)")
            return BeforeLast(int(text[1:]))
        ordinal, _, weekday = text.partition(" ")
        if not weekday:
            return Numbers(frozenset([self._value(text, written)]))
        if weekday not in _WEEKDAYS:
            raise self._refused(text, written, self._nearest_weekday(weekday))
        if ordinal == "LAST":
            return LastWeekday(_WEEKDAYS[weekday])
        if ordinal not in _ORDINALS:
            raise self._refused(text, written, " (1st, 2nd, 3rd, 4th, 5th or Last stands before a weekday)")
        return NthWeekday(_ORDINALS[ordinal], _WEEKDAYS[weekday])


def _bounds(span: range) -> tuple[int, int]:
    return span.start, span.stop


SECOND = CalendarField("second", "0", 0, 59, "0-59", increments=True)
MINUTE = CalendarField("minute", "0", 0, 59, "0-59", increments=True)
HOUR = CalendarField("hour", "0", 0, 23, "0-23", increments=True)
DAY_OF_MONTH = DayOfMonthAttribute(
    "day_of_month", "*", 1, 31, "1-31, -7 to -1 (days before the last), Last, 1st Sun to 5th Sat, Last Sun to Last Sat"
)
MONTH = CalendarField("month", "*", 1, 12, "1-12 or Jan-Dec", _MONTHS)
DAY_OF_WEEK = CalendarField("day_of_week", "*", 0, 7, "0-7 or Sun-Sat (0 and 7 are Sunday)", _WEEKDAYS)
YEAR = CalendarField("year", "*", 1970, 9999, "the years 1970 to 9999")
ALL_FIELDS = (SECOND, MINUTE, HOUR, DAY_OF_MONTH, MONTH, DAY_OF_WEEK, YEAR)
