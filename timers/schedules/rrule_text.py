"""Parser of the text of an iCalendar recurrence rule (RFC 5545, section 3.3.10)."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

from timers.exceptions import InvalidRequest

LONGEST: Final = 1_024
"""Maximum length in characters."""
FREQUENCIES: Final = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY")
DAYS: Final = ("SU", "MO", "TU", "WE", "TH", "FR", "SA")
WITHIN_A_DAY: Final = ("HOURLY", "MINUTELY", "SECONDLY")
_MOST_COUNT: Final = 1_000_000
# Twenty years: less frequent rules are not searched.
_MOST_INTERVALS: Final = dict(zip(FREQUENCIES, (20, 240, 1_040, 7_300, 175_200, 10_512_000, 630_720_000), strict=True))
_UNTIL = re.compile(r"([0-9]{8})(?:T([0-9]{6})(Z?))?")
_DAY = re.compile(r"([+-]?[0-9]{1,2})?(SU|MO|TU|WE|TH|FR|SA)")
# Limits of each list of numbers, and whether its numbers may count from the end.
_NUMBERS: Final = {
    "BYSECOND": (0, 59, False),
    "BYMINUTE": (0, 59, False),
    "BYHOUR": (0, 23, False),
    "BYMONTHDAY": (1, 31, True),
    "BYYEARDAY": (1, 366, True),
    "BYWEEKNO": (1, 53, True),
    "BYMONTH": (1, 12, False),
    "BYSETPOS": (1, 366, True),
}
_PARTS: Final = ("FREQ", "INTERVAL", "COUNT", "UNTIL", *_NUMBERS, "BYDAY", "WKST")
_ELSEWHERE: Final = {
    "DTSTART": "is no part of the rule: give it as start",
    "EXDATE": "is no part of the rule: leave dates out by an exclusion calendar",
    "EXRULE": "is no part of the rule: leave dates out by an exclusion calendar",
    "RDATE": "is no part of the rule: make further timers for further dates",
}
# Frequencies with which a part must not be used (the table and the notes of section 3.3.10).
_NOT_WITH: Final = {
    "BYWEEKNO": ("MONTHLY", "WEEKLY", "DAILY", *WITHIN_A_DAY),
    "BYYEARDAY": ("MONTHLY", "WEEKLY", "DAILY"),
    "BYMONTHDAY": ("WEEKLY",),
}


@dataclass(frozen=True, slots=True)
class RuleParts:
    """Parts of a rule; empty tuples for parts that the rule omits."""

    frequency: str
    interval: int = 1
    count: int | None = None
    until: str = ""
    seconds: tuple[int, ...] = ()
    minutes: tuple[int, ...] = ()
    hours: tuple[int, ...] = ()
    weekdays: tuple[tuple[int, int], ...] = ()
    """(nth, day): nth is 0 for every such day, negative from the end; days from 0 (Sunday) to 6."""
    month_days: tuple[int, ...] = ()
    year_days: tuple[int, ...] = ()
    weeks: tuple[int, ...] = ()
    months: tuple[int, ...] = ()
    positions: tuple[int, ...] = ()
    week_start: int = 1

    @classmethod
    def parse(cls, given: Any) -> Self:
        """Parse a rule. Raises InvalidRequest that names the invalid part and its valid values."""
        values = _split(given)
        frequency = values.pop("FREQ", None)
        if frequency is None:
            raise InvalidRequest("rule", f"needs FREQ, one of {', '.join(FREQUENCIES)}", given=given)
        if frequency not in FREQUENCIES:
            near = difflib.get_close_matches(frequency, FREQUENCIES, n=1)
            hint = f", did you mean {near[0]}?" if near else f"; allowed: {', '.join(FREQUENCIES)}"
            raise InvalidRequest("rule", f"has no frequency that is known in FREQ{hint}", given=frequency)
        if "COUNT" in values and "UNTIL" in values:
            raise InvalidRequest("rule", "must not have both COUNT and UNTIL", given=given)
        numbers = {name: _numbers(name, values[name]) for name in _NUMBERS if name in values}
        parts = cls(
            frequency,
            _number("INTERVAL", values.get("INTERVAL", "1"), _MOST_INTERVALS[frequency]),
            _number("COUNT", values["COUNT"], _MOST_COUNT) if "COUNT" in values else None,
            _until(values["UNTIL"]) if "UNTIL" in values else "",
            numbers.get("BYSECOND", ()),
            numbers.get("BYMINUTE", ()),
            numbers.get("BYHOUR", ()),
            _weekdays(values["BYDAY"]) if "BYDAY" in values else (),
            numbers.get("BYMONTHDAY", ()),
            numbers.get("BYYEARDAY", ()),
            numbers.get("BYWEEKNO", ()),
            numbers.get("BYMONTH", ()),
            numbers.get("BYSETPOS", ()),
            _week_start(values.get("WKST", "MO")),
        )
        _refuse_what_does_not_go_together(parts, set(values))
        return parts

    def meaning(self) -> object:
        """Return a value that is equal for equal rules, once they are completed by their start: UNTIL as one time, WKST
        if it matters."""
        until, week_start = _UNTIL.fullmatch(self.until), self.week_start
        if not self.weeks and (self.frequency != "WEEKLY" or (self.interval == 1 and not self.positions)):
            week_start = 1
        # A date means the whole day (see last_wall).
        last = f"{until[1]}T{until[2] or '235959'}{until[3] or ''}" if until else ""
        return replace(self, until=last, week_start=week_start)

    def last_wall(self, zone: ZoneInfo) -> datetime | None:
        """Return the wall of UNTIL, inclusive; None without it. A date means the whole of that day."""
        found = _UNTIL.fullmatch(self.until)
        if found is None:
            return None
        day, clock, utc = found.groups()
        if clock is None:
            return datetime.combine(datetime.strptime(day, "%Y%m%d"), time(23, 59, 59))  # noqa: DTZ007
        wall = datetime.strptime(f"{day}{clock}", "%Y%m%d%H%M%S")  # noqa: DTZ007
        return wall.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None, fold=0) if utc else wall


def normalised(given: Any) -> str:
    """Return the text of a rule in its stored form: in upper case, without blanks and without the word RRULE."""
    if not isinstance(given, str):
        raise InvalidRequest("rule", "must be text such as FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=17", given=given)
    if len(given) > LONGEST:
        raise InvalidRequest("rule", f"has {len(given):,} characters: at most {LONGEST:,} are allowed")
    return given.strip().upper().removeprefix("RRULE:").strip().rstrip(";")


def _split(given: Any) -> dict[str, str]:
    text = normalised(given)
    if not text:
        raise InvalidRequest("rule", "is empty: write such as FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=17", given=given)
    values: dict[str, str] = {}
    for part in text.split(";"):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        for word, instead in _ELSEWHERE.items():
            if word in part:
                raise InvalidRequest("rule", f"has {word}, which {instead}", given=given)
        if name not in _PARTS:
            near = difflib.get_close_matches(name, _PARTS, n=1, cutoff=0.5)
            hint = f", did you mean {near[0]}?" if near else f"; allowed: {', '.join(_PARTS)}"
            raise InvalidRequest("rule", f"has a part {name[:32]!r} that is not known{hint}", given=given)
        if not equals or not value:
            raise InvalidRequest("rule", f"says nothing for {name}: write {name}=...", given=given)
        if name in values:
            raise InvalidRequest("rule", f"has {name} twice: join the values by commas", given=given)
        values[name] = value
    return values


def _number(name: str, text: str, most: int) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= most:
        raise InvalidRequest("rule", f"needs a whole number from 1 to {most:,} for {name}", given=text)
    return int(text)


def _numbers(name: str, text: str) -> tuple[int, ...]:
    low, high, from_end = _NUMBERS[name]
    found: set[int] = set()
    for term in (piece.strip() for piece in text.split(",")):
        number = int(term) if re.fullmatch(r"[+-]?[0-9]{1,3}", term) else None
        if number is None or not (low <= number <= high or (from_end and low <= -number <= high)):
            end = f", or from -{high} to -{low} counted from the end" if from_end else ""
            raise InvalidRequest(
                "rule", f"has {term[:16]!r} in {name}: allowed are {low} to {high}{end}", given=text[:120]
            )
        found.add(number)
    return tuple(sorted(found))


def _weekdays(text: str) -> tuple[tuple[int, int], ...]:
    found: set[tuple[int, int]] = set()
    for term in text.split(","):
        match = _DAY.fullmatch(term.strip())
        if match is None or (match[1] is not None and not 1 <= abs(int(match[1])) <= 53):
            allowed = f"allowed are {', '.join(DAYS)}, with a number before it such as 2TU or -1FR"
            raise InvalidRequest("rule", f"has {term.strip()[:16]!r} in BYDAY: {allowed}", given=text[:120])
        found.add((int(match[1] or 0), DAYS.index(match[2])))
    return tuple(sorted(found))


def _week_start(text: str) -> int:
    if text not in DAYS:
        raise InvalidRequest("rule", f"needs one of {', '.join(DAYS)} for WKST", given=text)
    return DAYS.index(text)


def _until(text: str) -> str:
    found = _UNTIL.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        datetime.strptime(f"{found[1]}{found[2] or '000000'}", "%Y%m%d%H%M%S")  # noqa: DTZ007
    except ValueError:
        raise InvalidRequest(
            "rule", "needs a date for UNTIL, such as 20271231, 20271231T170000 or 20271231T160000Z (UTC)", given=text
        ) from None
    return text


def _refuse_what_does_not_go_together(parts: RuleParts, names: set[str]) -> None:
    for name, frequencies in _NOT_WITH.items():
        if name in names and parts.frequency in frequencies:
            raise InvalidRequest("rule", f"must not have {name} with FREQ={parts.frequency} (RFC 5545)")
    if any(nth for nth, _ in parts.weekdays):
        if parts.frequency not in ("MONTHLY", "YEARLY"):
            raise InvalidRequest("rule", f"must not count days as in 2TU with FREQ={parts.frequency}: write TU alone")
        if parts.weeks:
            raise InvalidRequest("rule", "must not count days as in 2TU together with BYWEEKNO: write TU alone")
    if parts.positions:
        if parts.frequency in WITHIN_A_DAY:
            raise InvalidRequest(
                "rule", f"has BYSETPOS with FREQ={parts.frequency}: name the minutes or seconds instead"
            )
        if not names & {"BYSECOND", "BYMINUTE", "BYHOUR", "BYDAY", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYMONTH"}:
            raise InvalidRequest("rule", "has BYSETPOS, which needs another part beginning with BY to choose from")
