"""Fields of a cron expression: their syntax and the values of their terms."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from timers.schedules.day_rules import BeforeLast, DayTerm, LastWeekday, NearestWeekday, NthWeekday, Numbers

WEEKDAY_NAMES = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
MONTH_NAMES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")

_VALUE = r"[0-9]+|[A-Z]{3,}"
_TERM = re.compile(rf"(?:\*|({_VALUE})(?:-({_VALUE}))?)(?:/([0-9]+))?")
_HASHED = re.compile(r"H(?:\(([0-9]+)-([0-9]+)\))?(?:/([0-9]+))?")
_DAY_OF_MONTH = re.compile(r"(?:L(?:-([0-9]+))?|([0-9]+))(W?)")
_DAY_OF_WEEK = re.compile(rf"((?:{_VALUE})?)(?:(L)|#([0-9]+))")


class NotUnderstood(Exception):
    """A term is invalid in its field; the message says why, and what may have been meant."""

    def __init__(self, term: str, why: str = "", instead: str = "") -> None:
        super().__init__(term)
        self.term, self.why, self.instead = term, why, instead


@dataclass(frozen=True, slots=True)
class Terms:
    """Values of the terms of one field: plain values, and days that depend on the month."""

    values: frozenset[int]
    days: tuple[DayTerm, ...] = ()


@dataclass(frozen=True, slots=True)
class CronField:
    """One field: its values from `low` to `high`, and their names."""

    name: str
    low: int
    high: int
    allowed: str
    names: Mapping[str, int] = field(default_factory=dict, hash=False)
    highest_hashed: int | None = None

    def read(self, text: str, seed: str | None) -> Terms:
        """Return the values of the field's text (in upper case). Raises NotUnderstood for the first invalid term."""
        if text == "*":
            return Terms(frozenset(range(self.low, self.high + 1)))
        values: set[int] = set()
        days: list[DayTerm] = []
        for term in text.split(","):
            if term.startswith("H") and (found := _HASHED.fullmatch(term)):
                values.update(self._hashed(term, found, seed))
            elif (day := self._day(term)) is not None:
                days.append(day)
            else:
                values.update(self._plain(term))
        return Terms(frozenset(values), tuple(days))

    def _day(self, term: str) -> DayTerm | None:
        return None

    def _plain(self, term: str) -> set[int] | range:
        found = _TERM.fullmatch(term)
        if found is None:
            raise NotUnderstood(term, *self.hint(term))
        first, last, step = found.groups()
        if first is None:
            low, high = self.low, self.high
        else:
            low = self._value(first, term)
            # As in Quartz, a single value with a step continues to the end of the field.
            high = self._value(last, term) if last else self.high if step else low
            if high < low:
                raise NotUnderstood(term, "a range must rise", self._in_two(term, first, last, step))
        return range(low, high + 1, self._step(step, term) if step else 1)

    def _value(self, text: str, term: str) -> int:
        if text.isdigit():
            if len(text) <= 4 and self.low <= int(text) <= self.high:
                return int(text)
            raise NotUnderstood(term, *self._out_of_bounds(text, term))
        if text in self.names:
            return self.names[text]
        near = difflib.get_close_matches(text, self.names, n=1, cutoff=0.5) or [n for n in self.names if text[:3] == n]
        raise NotUnderstood(term, "", term.replace(text, near[0]) if near else "")

    def _step(self, step: str, term: str) -> int:
        number = int(step[:6])
        if number == 0:
            raise NotUnderstood(term, "a step is at least 1", term.rpartition("/")[0])
        return number

    def _hashed(self, term: str, found: re.Match[str], seed: str | None) -> set[int] | range:
        """Return the values of H, as in Jenkins: H is one value, H/n every nth one.

        Never a day that some month lacks.
        """
        if self.name == "year":
            raise NotUnderstood(term, "a year is not left to chance")
        first, last, step_text = found.groups()
        low = self._value(first, term) if first else self.low
        high = self._value(last, term) if last else self.high if self.highest_hashed is None else self.highest_hashed
        if high < low:
            raise NotUnderstood(term, "a range must rise", term.replace(f"{first}-{last}", f"{last}-{first}"))
        step = self._step(step_text, term) if step_text else 1
        size = high - low + 1
        if step > size:
            raise NotUnderstood(term, f"a step within {low}-{high} is at most {size}")
        if seed is None:
            raise NotUnderstood(term, "H is a value that the hash of a seed decides, and no seed is given")
        number = int.from_bytes(blake2b(f"{seed}\0{self.name}".encode(), digest_size=8).digest())
        return range(low + number % step, high + 1, step) if step > 1 else {low + number % size}

    def _in_two(self, term: str, first: str, last: str, step: str | None) -> str:
        """Return the falling range as two rising ones: 22-2 as 22-23,0-2."""
        if step:
            return ""
        top = next((name for name, value in self.names.items() if value == self._top), str(self._top))
        bottom = next((name for name, value in self.names.items() if value == self.low), str(self.low))
        if first.isdigit():
            top, bottom = str(self._top), str(self.low)
        return ",".join(a if a == b else f"{a}-{b}" for a, b in ((first, top), (bottom, last)))

    @property
    def _top(self) -> int:
        return self.high

    def _out_of_bounds(self, text: str, term: str) -> tuple[str, str]:
        """Return a hint and a suggestion for an off-by-one value, such as minute 60 or day 0; empty for others."""
        number = int(text[:6])
        counted_from_1 = self.low == 0 and number == self.high + 1
        if self.names or not (counted_from_1 or number < self.low):
            return "", ""
        instead = str(self.low) if text == term and self.low < 2 else ""
        return f"{self.low} is the first, {self.high} the last", instead

    def hint(self, term: str) -> tuple[str, str]:
        if term == "?":
            return "? stands in one of the two day fields only", "*"
        if term == "":
            return "a comma stands between two values", ""
        if term.endswith("/"):
            return "a step is missing after /", term[:-1]
        if re.fullmatch(r"/[0-9]+", term):
            return "a start is missing before /", f"*{term}"
        if term.count("/") > 1:
            return "one step is allowed", ""
        if term.startswith("H"):
            return "H is written as H, H/15, H(0-29) or H(0-29)/10", ""
        if re.search(r"[LW#]", term) and not self.names:
            return "L, W and # belong to the day fields", ""
        return "", ""


@dataclass(frozen=True, slots=True)
class DayOfMonthField(CronField):
    """Days by number, L and L-3 from the month's end, 15W and LW the nearest weekday."""

    def _day(self, term: str) -> DayTerm | None:
        found = _DAY_OF_MONTH.fullmatch(term)
        if found is None or found[0].isdigit():
            return None
        distance, number, weekday = found.groups()
        if number:
            return NearestWeekday(Numbers(frozenset([self._value(number, term)])))
        if len(distance or "") > 3 or int(distance or 0) > 30:
            raise NotUnderstood(term, "no month has so many days: L-30 is the farthest from its end")
        from_end = BeforeLast(int(distance or 0))
        return NearestWeekday(from_end) if weekday else from_end

    def hint(self, term: str) -> tuple[str, str]:
        if re.fullmatch(r"L?W?(-[0-9]+)?/[0-9]+", term):
            return "L and W take no step", term.partition("/")[0]
        if re.fullmatch(r"\w+L", term):
            return "a last weekday, such as 5L, stands in the day-of-week field", ""
        if "#" in term:
            return "an nth weekday, such as 5#2, stands in the day-of-week field", ""
        return CronField.hint(self, term)


@dataclass(frozen=True, slots=True)
class DayOfWeekField(CronField):
    """Days by number (0 and 7 are Sunday) or name, 5L the last one of the month, 5#2 the second one."""

    def read(self, text: str, seed: str | None) -> Terms:
        terms = CronField.read(self, text, seed)
        return Terms(frozenset(value % 7 for value in terms.values), terms.days) if 7 in terms.values else terms

    def _day(self, term: str) -> DayTerm | None:
        found = _DAY_OF_WEEK.fullmatch(term)
        if found is None or term in self.names:
            return None
        weekday_text, last, nth = found.groups()
        if not weekday_text:
            if last:
                raise NotUnderstood(term, "in Quartz a lone L is Saturday; the last Friday of a month is 5L", "SAT")
            raise NotUnderstood(term, "a number of the week comes after a weekday, as in 5#2")
        weekday = self._value(weekday_text, term) % 7
        if last:
            return LastWeekday(weekday)
        if not (len(nth) == 1 and 1 <= int(nth) <= 5):
            raise NotUnderstood(term, "a month has at most 5 of each day of the week", f"{weekday_text}L")
        return NthWeekday(int(nth), weekday)

    @property
    def _top(self) -> int:
        return 6

    def hint(self, term: str) -> tuple[str, str]:
        if term.endswith("W"):
            return "a nearest weekday, such as 15W, stands in the day-of-month field", ""
        return CronField.hint(self, term)


SECOND = CronField("second", 0, 59, "0-59")
MINUTE = CronField("minute", 0, 59, "0-59")
HOUR = CronField("hour", 0, 23, "0-23")
DAY_OF_MONTH = DayOfMonthField(
    "day-of-month", 1, 31, "1-31, L (last day), L-3 (3 days before it), 15W (nearest weekday), LW (last weekday), ?",
    highest_hashed=28,
)  # fmt: skip
MONTH = CronField("month", 1, 12, "1-12 or JAN-DEC", {name: n for n, name in enumerate(MONTH_NAMES, 1)})
DAY_OF_WEEK = DayOfWeekField(
    "day-of-week", 0, 7, "0-7 or SUN-SAT (0 and 7 are Sunday), 5L (last Friday), 5#2 (second Friday), ?",
    {name: n for n, name in enumerate(WEEKDAY_NAMES)}, highest_hashed=6,
)  # fmt: skip
YEAR = CronField("year", 1970, 2199, "1970-2199")
ALL_FIELDS = (SECOND, MINUTE, HOUR, DAY_OF_MONTH, MONTH, DAY_OF_WEEK, YEAR)
