"""Descriptions of wall patterns: "at 14:00 on the last Thursday of November"."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from cronsim import CronSim

from timers.schedules.day_rules import (
    BeforeLast,
    DayRange,
    DayRule,
    DayTerm,
    LastWeekday,
    NearestWeekday,
    NthWeekday,
    Numbers,
    Weekdays,
)  # fmt: skip
from timers.schedules.names_in_words import MONTHS, WEEKDAYS, listed, ordinal
from timers.schedules.times_of_day import ClockTimes, TimesOfDay
from timers.schedules.wall_pattern import EVERY_MONTH, WallPattern

_NAMED_TIMES = 6
_EPOCH = datetime(1970, 1, 1)


def pattern_in_words(pattern: WallPattern) -> str:
    """Describe what the pattern matches: times, days, months and years."""
    times, days = times_in_words(pattern.times), days_in_words(pattern.days, pattern.months)
    words = times if days == "every day" and "every" in times else f"{times} {days}"
    if pattern.years is not None:
        words += f" in {_runs(pattern.years, str)}"
    return words


def times_in_words(times: TimesOfDay) -> str:
    """Describe the times of day: "at 09:00 and 17:30", "every 15th minute from 09:00 through 17:59"."""
    if times.total <= _NAMED_TIMES or not isinstance(times, ClockTimes):
        return f"at {_some_times(times)}"
    fields = (_as_cron(times.seconds, 59), _as_cron(times.minutes, 59), _as_cron(times.hours, 23))
    words = CronSim(f"{' '.join(fields)} * * *", _EPOCH).explain().removesuffix(" every day")
    return words[0].lower() + words[1:]


def days_in_words(rule: DayRule, months: tuple[int, ...] = EVERY_MONTH) -> str:
    """Describe the days: "every day", "on the 1st and the last day of every month", "on Monday in March"."""
    month = "every month" if months == EVERY_MONTH else _runs(months, lambda n: MONTHS[n - 1])
    of_month = f"on {listed([_term(term) for term in rule.of_month])} of {month}" if rule.of_month else ""
    of_week = f"on {listed([_term(term) for term in rule.of_week])}" if rule.of_week else ""
    if of_week and (not of_month or rule.either):
        if not all(isinstance(term, Weekdays) for term in rule.of_week or ()):
            of_week += f" of {month}"
        elif months != EVERY_MONTH:
            of_week += f" in {month}"
    if of_month and of_week:
        return f"{of_month} and {of_week}" if rule.either else f"{of_month} if it is {of_week}"
    return of_month or of_week or ("every day" if months == EVERY_MONTH else f"every day in {month}")


def _term(term: DayTerm) -> str:
    match term:
        case Numbers():
            return "the " + _runs(tuple(sorted(term.numbers)), ordinal)
        case BeforeLast(0):
            return "the last day"
        case BeforeLast(1):
            return "the day before the last day"
        case BeforeLast():
            return f"the {ordinal(term.distance)} day before the last day"
        case NearestWeekday(BeforeLast(0)):
            return "the last weekday"
        case NearestWeekday():
            return f"the weekday nearest to {_term(term.to)}"
        case NthWeekday():
            return f"the {ordinal(term.nth)} {WEEKDAYS[term.weekday]}"
        case LastWeekday():
            return f"the last {WEEKDAYS[term.weekday]}"
        case DayRange():
            return f"{_term(term.start)} through {_term(term.end)}"
        case Weekdays():
            return _runs(tuple(sorted(term.weekdays)), lambda n: WEEKDAYS[n])
        case _:
            raise TypeError(f"no words for {term!r}")


def _some_times(times: TimesOfDay) -> str:
    named: list[str] = []
    second = times.after(-1)
    while second is not None and len(named) < _NAMED_TIMES:
        named.append(_clock(second))
        second = times.after(second)
    return listed(named) if second is None else f"{', '.join(named)} and {times.total - len(named)} more times"


def _clock(second: int) -> str:
    with_seconds = f":{second % 60:02}" if second % 60 else ""
    return f"{second // 3_600:02}:{second // 60 % 60:02}{with_seconds}"


def _as_cron(values: tuple[int, ...], last: int) -> str:
    """Return the text of a cron field with these values: "*", "*/15", "9-17", "4,14,24"."""
    step = values[1] - values[0] if len(values) > 1 else 0
    if step and values == tuple(range(0, last + 1, step)):
        return "*" if step == 1 else f"*/{step}"
    if step == 1 and values == tuple(range(values[0], values[-1] + 1)):
        return f"{values[0]}-{values[-1]}"
    return ",".join(map(str, values))


def _runs(values: Sequence[int], name: Callable[[int], str]) -> str:
    """Describe values; three or more consecutive ones as "a through b"."""
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    words: list[str] = []
    for run in runs:
        words += [f"{name(run[0])} through {name(run[-1])}"] if len(run) > 2 else [name(value) for value in run]
    return listed(words)
