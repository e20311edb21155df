"""What a recurrence rule of iCalendar makes of one month: its days, and the times on each of them.

FREQ and INTERVAL say which periods (years, months, weeks, days) take part, the BY parts which of their days and times,
BYSETPOS which of those that are left in a period; what the rule does not say is taken from its start.
"""

from __future__ import annotations

from calendar import isleap, monthrange
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import lru_cache

from timers.schedules.rrule_text import RuleParts
from timers.schedules.times_of_day import ClockTimes, ListedTimes, RegularTimes, TimesOfDay

_DAY = timedelta(days=1)
_SECONDS_A_DAY = 86_400
_STEPS = {"HOURLY": 3_600, "MINUTELY": 60, "SECONDLY": 1}


def completed(parts: RuleParts, start: datetime) -> RuleParts:
    """The rule with what it takes from its start."""
    found: dict[str, tuple[int, ...] | tuple[tuple[int, int], ...]] = {}
    weekday = start.isoweekday() % 7
    if parts.frequency in ("YEARLY", "MONTHLY", "WEEKLY") and not (
        parts.weekdays or parts.month_days or parts.year_days
    ):
        if parts.frequency == "WEEKLY" or parts.weeks:
            found["weekdays"] = ((0, weekday),)
        else:
            found["month_days"] = (start.day,)
            if parts.frequency == "YEARLY" and not parts.months:
                found["months"] = (start.month,)
    if not parts.hours and parts.frequency not in _STEPS:
        found["hours"] = (start.hour,)
    if not parts.minutes and parts.frequency not in ("MINUTELY", "SECONDLY"):
        found["minutes"] = (start.minute,)
    if not parts.seconds and parts.frequency != "SECONDLY":
        found["seconds"] = (start.second,)
    return replace(parts, **found)  # type: ignore[arg-type]


def expand(parts: RuleParts, start: datetime, year: int, month: int) -> list[tuple[int, TimesOfDay]]:
    """The days of a month that match, in order, and the times on each; what lies before the start counts too.

    `parts` are completed (see above).
    """
    if parts.months and month not in parts.months:
        return []
    days = [date(year, month, day) for day in range(1, monthrange(year, month)[1] + 1)]
    if parts.positions:
        return _chosen(parts, start, days)
    matching = [day for day in days if _in_turn(parts, start, day) and _matches(parts, day)]
    with_times = [(day.day, _times(parts, start, day)) for day in matching]
    return [(day, times) for day, times in with_times if times is not None]


def _in_turn(parts: RuleParts, start: datetime, day: date) -> bool:
    """Whether INTERVAL lets the period take part in which the day lies."""
    if parts.interval == 1 or parts.frequency in _STEPS:
        return True
    if parts.frequency == "YEARLY":
        distance = day.year - start.year
    elif parts.frequency == "MONTHLY":
        distance = (day.year - start.year) * 12 + day.month - start.month
    elif parts.frequency == "WEEKLY":
        distance = _week(parts, day) - _week(parts, start.date())
    else:
        distance = (day - start.date()).days
    return distance % parts.interval == 0


def _week(parts: RuleParts, day: date) -> int:
    """The number of a day's week, counted from the year 1."""
    return (day.toordinal() - 1 - (parts.week_start - 1) % 7) // 7


def _matches(parts: RuleParts, day: date) -> bool:
    if parts.months and day.month not in parts.months:
        return False
    if parts.weekdays and not any(_is_such_day(parts, nth, weekday, day) for nth, weekday in parts.weekdays):
        return False
    if parts.month_days and not _is_listed(parts.month_days, day.day, monthrange(day.year, day.month)[1]):
        return False
    if parts.year_days and not _is_listed(parts.year_days, day.timetuple().tm_yday, 365 + isleap(day.year)):
        return False
    return not parts.weeks or _is_in_weeks(parts, day)


def _is_listed(numbers: tuple[int, ...], number: int, length: int) -> bool:
    return number in numbers or number - length - 1 in numbers


def _is_such_day(parts: RuleParts, nth: int, weekday: int, day: date) -> bool:
    if day.isoweekday() % 7 != weekday:
        return False
    if nth == 0:
        return True
    if parts.frequency == "YEARLY" and not parts.months:
        number, length = day.timetuple().tm_yday, 365 + isleap(day.year)
    else:
        number, length = day.day, monthrange(day.year, day.month)[1]
    return nth == ((number - 1) // 7 + 1 if nth > 0 else -((length - number) // 7 + 1))


def _is_in_weeks(parts: RuleParts, day: date) -> bool:
    """Week 1 is the first with four days of the year, so the days around New Year may lie in a week of another year."""
    middle = day - _DAY * ((day.isoweekday() - parts.week_start) % 7) + _DAY * 3
    number = (middle.timetuple().tm_yday - 1) // 7 + 1
    last = (date(middle.year, 12, 31).timetuple().tm_yday - middle.timetuple().tm_yday) // 7
    return number in parts.weeks or -last - 1 in parts.weeks


def _times(parts: RuleParts, start: datetime, day: date) -> TimesOfDay | None:
    step = _STEPS.get(parts.frequency)
    if step is None:
        return ClockTimes(parts.hours, parts.minutes, parts.seconds)
    distance = (day - start.date()).days * _SECONDS_A_DAY // step
    first = (start.hour * 3_600 + start.minute * 60 + start.second) // step - distance
    return _times_from(parts, first % parts.interval, step)


@lru_cache(maxsize=1024)
def _times_from(parts: RuleParts, first: int, step: int) -> TimesOfDay | None:
    """The times of a day on which the first step that takes part is this one."""
    steps = range(first * step, _SECONDS_A_DAY, parts.interval * step)
    if not steps:
        return None
    if step == 1 and not (parts.hours or parts.minutes or parts.seconds):
        return RegularTimes(steps)
    listed = tuple(second for at in steps for second in _within(parts, at, step))
    return ListedTimes(listed) if listed else None


def _within(parts: RuleParts, at: int, step: int) -> Iterator[int]:
    """The times of one hour, minute or second that match."""
    hour, minute, second = at // 3_600, at // 60 % 60, at % 60
    if parts.hours and hour not in parts.hours:
        return
    if step == 3_600:
        yield from (at + 60 * minute + second for minute in parts.minutes for second in parts.seconds)
    elif not parts.minutes or minute in parts.minutes:
        if step == 60:
            yield from (at + second for second in parts.seconds)
        elif not parts.seconds or second in parts.seconds:
            yield at


def _chosen(parts: RuleParts, start: datetime, days: list[date]) -> list[tuple[int, TimesOfDay]]:
    """What BYSETPOS chooses of the periods to which these days, those of a month, belong."""
    of_day: dict[date, set[int]] = defaultdict(set)
    times = ClockTimes(parts.hours, parts.minutes, parts.seconds)
    for period in _periods(parts, days):
        matching = _matching(parts, *period)
        if not matching or not _in_turn(parts, start, matching[0]):
            continue
        length = len(matching) * times.total
        for position in parts.positions:
            at = position - 1 if position > 0 else length + position
            if 0 <= at < length:
                of_day[matching[at // times.total]].add(_second(times, at % times.total))
    return [(day.day, ListedTimes(tuple(sorted(of_day[day])))) for day in days if day in of_day]


@lru_cache(maxsize=1024)
def _matching(parts: RuleParts, first: date, length: int) -> tuple[date, ...]:
    """The days of a period that match."""
    return tuple(day for day in (first + _DAY * number for number in range(length)) if _matches(parts, day))


def _periods(parts: RuleParts, days: list[date]) -> list[tuple[date, int]]:
    """The periods to which the days of a month belong: their first days, and how many days they have."""
    if parts.frequency == "DAILY":
        return [(day, 1) for day in days]
    if parts.frequency == "MONTHLY":
        return [(days[0], len(days))]
    if parts.frequency == "YEARLY":
        return [(date(days[0].year, 1, 1), 365 + isleap(days[0].year))]
    first = days[0] - _DAY * ((days[0].isoweekday() - parts.week_start) % 7)
    return [(first + _DAY * 7 * week, 7) for week in range((days[-1] - first).days // 7 + 1)]


def _second(times: ClockTimes, at: int) -> int:
    """The time of day at a place in their order."""
    rest, second = divmod(at, len(times.seconds))
    hour, minute = divmod(rest, len(times.minutes))
    return times.hours[hour] * 3_600 + times.minutes[minute] * 60 + times.seconds[second]
