"""Descriptions of recurrence rules: "every 2 weeks on Monday and Friday at 17:00"."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from timers.schedules.names_in_words import MONTHS, WEEKDAYS, listed, ordinal
from timers.schedules.rrule_text import WITHIN_A_DAY, RuleParts

_UNITS = {
    "YEARLY": "year", "MONTHLY": "month", "WEEKLY": "week", "DAILY": "day",
    "HOURLY": "hour", "MINUTELY": "minute", "SECONDLY": "second",
}  # fmt: skip
_MOST_TIMES = 6


def rule_in_words(parts: RuleParts, last: datetime | None) -> str:
    """Describe a completed rule (see recurrence_years.completed). `last`: its last wall, if it ends."""
    unit = _UNITS[parts.frequency]
    words = [f"every {unit}" if parts.interval == 1 else f"every {parts.interval:,} {unit}s"]
    words += _days(parts)
    if parts.positions:
        words.append(f"(of these the {listed([_place(position) for position in parts.positions])})")
    words += _times(parts)
    if parts.count is not None:
        words.append(f"{parts.count:,} times" if parts.count > 1 else "once")
    if last is not None:
        words.append(f"until {last:%Y-%m-%d %H:%M}")
    return " ".join(words)


def _days(parts: RuleParts) -> list[str]:
    words = []
    if parts.weekdays:
        words.append(f"on {listed([_weekday(nth, day) for nth, day in _monday_first(parts.weekdays)])}")
    if parts.month_days:
        words.append(f"on {_numbered('day', parts.month_days)} of the month")
    if parts.year_days:
        words.append(f"on {_numbered('day', parts.year_days)} of the year")
    if parts.weeks:
        words.append(f"in {_numbered('week', parts.weeks)}")
    if parts.months:
        words.append(f"in {listed([MONTHS[month - 1] for month in parts.months])}")
    return words


def _times(parts: RuleParts) -> list[str]:
    number = len(parts.hours) * len(parts.minutes) * len(parts.seconds)
    if parts.frequency not in WITHIN_A_DAY and number <= _MOST_TIMES:
        return [f"at {listed([_time(h, m, s) for h in parts.hours for m in parts.minutes for s in parts.seconds])}"]
    words = []
    for name, numbers in (("hour", parts.hours), ("minute", parts.minutes), ("second", parts.seconds)):
        if numbers and not (name == "second" and numbers == (0,)):
            words.append(f"at {_numbered(name, numbers)}")
    return words


def _monday_first(weekdays: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    return sorted(weekdays, key=lambda entry: (entry[0] < 0, abs(entry[0]), (entry[1] - 1) % 7))


def _weekday(nth: int, day: int) -> str:
    return WEEKDAYS[day] if nth == 0 else f"the {_place(nth)} {WEEKDAYS[day]}"


def _place(number: int) -> str:
    if number > 0:
        return ordinal(number)
    return "last" if number == -1 else f"{ordinal(-number)} to last"


def _numbered(name: str, numbers: Sequence[int]) -> str:
    if any(number < 0 for number in numbers):
        return f"the {listed([_place(number) for number in numbers])} {name}"
    return f"{name} {listed([str(number) for number in numbers])}"


def _time(hour: int, minute: int, second: int) -> str:
    return f"{hour:02}:{minute:02}:{second:02}" if second else f"{hour:02}:{minute:02}"
