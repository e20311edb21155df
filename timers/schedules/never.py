"""Explain why a pattern matches no wall at all, for the person who wrote it."""

from __future__ import annotations

from timers.schedules.day_rules import Numbers
from timers.schedules.names_in_words import MONTHS, ordinal
from timers.schedules.wall_pattern import WallPattern

_LONGEST_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def why_never(pattern: WallPattern) -> str | None:
    """Return the reason, such as "February has no 30th day"; None if there is no simple reason.

    That February has no 29th day is not a reason without years: some year has one.
    """
    day = _smallest_day(pattern)
    if day is not None:
        months = " or ".join(MONTHS[month - 1] for month in pattern.months)
        if day > max(_LONGEST_MONTH[month - 1] for month in pattern.months):
            return f"{months} has no {ordinal(day)} day"
        if pattern.days.of_week is None and pattern.years:
            return f"{months} has no {ordinal(day)} day in {_years(pattern)}"
    return None


def _smallest_day(pattern: WallPattern) -> int | None:
    terms = pattern.days.of_month or ()
    if not terms or not all(isinstance(term, Numbers) for term in terms):
        return None
    return min(day for term in terms if isinstance(term, Numbers) for day in term.numbers)


def _years(pattern: WallPattern) -> str:
    years = pattern.years or ()
    return str(years[0]) if len(years) == 1 else "any of these years"
