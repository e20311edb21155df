"""Cron expressions: which walls match one, whatever the time zone.

The fields mean what they mean in Debian's cron, with seconds in front where there are six. cronsim reads them and
walks the calendar; it is asked about naive walls only, because its answers near clock changes depend on where the
question starts from (an answer before the question in a fold, whole hours missed where clocks change by half an hour).
"""

from __future__ import annotations

import re
from bisect import bisect_left
from copy import copy
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, Self

from cronsim import CronSim, CronSimError
from cronsim.cronsim import SYMBOLIC_DAYS, SYMBOLIC_MONTHS

from timers.exceptions import SpecError

LONGEST = 256  # characters
_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FIELDS = {
    "second": "0-59",
    "minute": "0-59",
    "hour": "0-23",
    "day-of-month": "1-31, L (last day), LW (last weekday)",
    "month": "1-12 or JAN-DEC",
    "day-of-week": "0-7 or SUN-SAT (0 and 7 are Sunday), 5L (last Friday), 5#2 (second Friday)",
}
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_NUMBERS = {name: n for n, name in enumerate(SYMBOLIC_DAYS)} | {name: n for n, name in enumerate(SYMBOLIC_MONTHS, 1)}
_LONGEST_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
# One year of each kind there is, leap years first: what matches no day of these matches no day ever.
_EVERY_KIND_OF_YEAR = (2000, 2004, 2008, 2012, 2016, 2020, 2024, 2001, 2002, 2003, 2005, 2006, 2009, 2010)
_EPOCH = datetime(1970, 1, 1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class CronExpression:
    """A cron expression of 5 fields, of 6 with seconds first, or an alias such as @daily."""

    text: str
    _sim: CronSim = field(repr=False, compare=False)

    @classmethod
    def parse(cls, given: Any) -> Self:
        """Read an expression, or raise SpecError saying which of its fields is wrong and what is allowed there."""
        text = _normalised(given)
        fields = [_without_vain_steps(field) for field in _expanded(text).split()]
        if len(fields) not in (5, 6):
            raise SpecError(
                "expression",
                f"has {len(fields)} {'field' if len(fields) == 1 else 'fields'}; allowed are 5 (minute hour "
                "day-of-month month day-of-week), 6 (seconds first), or an alias such as @daily",
                given=text,
            )
        try:
            sim = CronSim(" ".join(fields), _EPOCH)
        except CronSimError:
            raise _explained(text, fields) from None
        if not _ever_matches(sim):
            raise _never(text, f"no {fields[-3]} day-of-month is ever a {fields[-1]} day-of-week in month {fields[-2]}")
        return cls(text, sim)

    @property
    def names_fixed_times(self) -> bool:
        """Whether it names times of the day, rather than going on through every minute or hour.

        As in Debian's cron: neither the minute nor the hour begins with a star. What names times of the day shall
        run once each day, also on the days on which the clock is set.
        """
        minute, hour = self._sim.parts[1:3]
        return not minute.startswith("*") and not hour.startswith("*")

    def after(self, wall: datetime) -> datetime:
        """The first matching wall strictly after `wall`; OverflowError when the calendar ends before it."""
        sim = copy(self._sim)
        sim.dt = wall.replace(microsecond=0)
        try:
            return next(sim)
        except StopIteration:
            raise OverflowError("no match within fifty years") from None

    def count(self, start: datetime, end: datetime) -> int:
        """How many walls match from `start` to before `end`; takes about a microsecond for each day between."""
        if end <= start:
            return 0
        sim = self._sim
        times_a_day = len(sim.hours) * len(sim.minutes) * len(sim.seconds)
        days = sum(map(self._matches_day, _days(start.date(), end.date())))
        count = days * times_a_day
        if self._matches_day(start.date()):
            count -= self._times_before(start.time())
        if self._matches_day(end.date()):
            count += self._times_before(end.time())
        return count

    def explain(self) -> str:
        """The expression in words: "at 02:30 every day"."""
        words = self._sim.explain()
        # cronsim writes 21th, 22th and 23th.
        words = re.sub(r"(?<=[02-9])[123]th\b", lambda found: _ORDINALS[found[0]], words)
        return words[0].lower() + words[1:]

    def _matches_day(self, day: date) -> bool:
        return day.month in self._sim.months and self._sim.match_day(day)

    def _times_before(self, end: time) -> int:
        sim = self._sim
        hours, minutes, seconds = sorted(sim.hours), sorted(sim.minutes), sorted(sim.seconds)
        count = bisect_left(hours, end.hour) * len(minutes) * len(seconds)
        if end.hour in sim.hours:
            count += bisect_left(minutes, end.minute) * len(seconds)
            if end.minute in sim.minutes:
                count += bisect_left(seconds, end.second + (end.microsecond > 0))
        return count


_ORDINALS = {"1th": "1st", "2th": "2nd", "3th": "3rd"}


def _days(start: date, end: date) -> list[date]:
    return [date.fromordinal(n) for n in range(start.toordinal(), end.toordinal())]


def _normalised(given: Any) -> str:
    if not isinstance(given, str):
        raise SpecError("expression", "must be a cron expression, such as 30 2 * * *", given=given)
    if len(given) > LONGEST:
        raise SpecError("expression", f"has more than {LONGEST} characters", given=given)
    foreign = re.search(r"[^!-~ \t]", given)
    if foreign:
        raise SpecError("expression", f"holds {foreign[0]!r}, which no cron expression has", given=given)
    return " ".join(given.split())


def _expanded(text: str) -> str:
    if not text.startswith("@"):
        return text
    if text.lower() == "@reboot":
        raise SpecError("expression", "@reboot names no instant: a timer here outlives every start", given=text)
    if text.lower() not in _ALIASES:
        raise SpecError("expression", f"is no known alias; allowed are {', '.join(_ALIASES)}", given=text)
    return _ALIASES[text.lower()]


def _without_vain_steps(field: str) -> str:
    """The same field with `5-5/2` written as `5`, which cronsim would take for `5/2`, up to the field's end."""
    return re.sub(r"(\w+)-(\w+)/0*[1-9][0-9]*", lambda t: t[1] if _value(t[1]) == _value(t[2]) else t[0], field)


def _value(name: str) -> int | str:
    return int(name) if name.isdigit() else _NUMBERS.get(name.upper(), name)


def _ever_matches(sim: CronSim) -> bool:
    return any(
        sim.match_day(date(year, month, day))
        for year in _EVERY_KIND_OF_YEAR
        for month in sim.months
        for day in range(1, _LONGEST_MONTH[month - 1] + (0 if month != 2 or year % 4 == 0 else -1) + 1)
    )


def _explained(text: str, fields: list[str]) -> SpecError:
    """Why cronsim refuses it: the first term that is refused when it stands alone; else no month has that day."""
    names = list(_FIELDS)[-len(fields) :]
    for position, name in enumerate(names):
        for term in fields[position].split(","):
            alone = ["*"] * len(fields)
            alone[position] = term
            try:
                CronSim(" ".join(alone), _EPOCH)
            except CronSimError:
                allowed = f"allowed are {_FIELDS[name]}, *, rising ranges a-b, steps /n, lists"
                return SpecError("expression", f"has {term!r} as {name}{_hint(term)}; {allowed}", given=text)
    day = min(CronSim(f"0 0 {fields[-3]} * *", _EPOCH).days)
    months = " or ".join(_MONTHS[month - 1] for month in sorted(CronSim(f"0 0 * {fields[-2]} *", _EPOCH).months))
    return _never(text, f"{months} has no {day}{'st' if day == 31 else 'th'} day")


def _hint(term: str) -> str:
    if term == "?":
        return " (write * for any)"
    if re.fullmatch(r"[0-9]+W", term, re.IGNORECASE):
        return " (the weekday nearest to a day is not supported)"
    if re.match(r"H\b", term, re.IGNORECASE):
        return " (H, a hashed value, is not supported)"
    if re.fullmatch(r"\w+-\w+(/\w+)?", term):
        return " (a range must rise within the allowed values)"
    return ""


def _never(text: str, why: str) -> SpecError:
    return SpecError("expression", f"never fires: {why}", given=text)
