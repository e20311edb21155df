"""Warnings about properties of a schedule that may surprise the person who wrote it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice, pairwise, takewhile
from typing import Final

from timers.schedules.day_rules import Numbers
from timers.schedules.duration import describe_duration
from timers.schedules.excluding import Excluding
from timers.schedules.names_in_words import listed, ordinal
from timers.schedules.rrule import RRule
from timers.schedules.schedule import Schedule
from timers.schedules.times_of_day import ClockTimes
from timers.schedules.wall_clock import Change, changes_between
from timers.schedules.wall_pattern import EVERY_MONTH, WallPattern
from timers.schedules.wall_schedule import WallSchedule

SEARCHED: Final = timedelta(days=397)
"""Time range that is searched: 13 months, so that the same season of the next year is included."""
CROWDED: Final = 100
"""Number of other timers in one second from which a warning is given."""
_COMPARED: Final = 100
_SECOND = timedelta(seconds=1)
_SHORTEST_MONTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True, slots=True)
class Warned:
    """One warning: a code for programs, and a text for people."""

    code: str
    """One of: gap, fold, never, or_rule, uneven_step, day_29_31, faster_than_handler, crowded."""
    text: str


def warnings_of(
    schedule: Schedule,
    running: Iterator[datetime],
    after: datetime,
    *,
    ended: bool,
    p95_seconds: float | None,
    crowd: Callable[[datetime], int] | None,
    due_after: timedelta,
) -> list[Warned]:
    """Yield the warnings of a schedule. `running`: the instants that run, from the first after `after` on."""
    first = list(islice(running, 1))
    first += islice(takewhile(lambda instant: instant <= after + SEARCHED, running), _COMPARED if first else 0)
    inner = schedule.schedule if isinstance(schedule, Excluding) else schedule
    found = list(_never(first, after, ended=ended))
    if isinstance(inner, WallSchedule):
        found += _clock_changes(inner, after)
        found += _of_pattern(inner)
    found += _too_fast(first, p95_seconds)
    if crowd is not None and first:
        others = crowd(first[0] + due_after)
        if others >= CROWDED:
            found.append(
                Warned(
                    "crowded", f"{others:,} other timers are due in the second of the first fire: spread them by jitter"
                )
            )
    return found


def _never(first: Sequence[datetime], after: datetime, *, ended: bool) -> Iterator[Warned]:
    if first:
        if first[0] > after + SEARCHED:
            yield Warned("never", f"does not fire before {first[0]:%Y-%m-%d}")
    elif ended:
        yield Warned("never", "never fires any more")
    else:
        yield Warned("never", "all of its next instants are excluded: it does not fire")


def _clock_changes(schedule: WallSchedule, after: datetime) -> Iterator[Warned]:
    """Yield the first gap and the first fold that affect the schedule."""
    said: set[str] = set()
    for change in changes_between(schedule.zone, after, after + SEARCHED):
        code = "fold" if change.is_fold else "gap"
        if code not in said and (text := _of_change(schedule, change)):
            said.add(code)
            yield Warned(code, text)


def _of_change(schedule: WallSchedule, change: Change) -> str:
    low, high = sorted((change.wall_before, change.wall_after))
    walls = schedule.walls.count(low, high)
    if not walls:
        return ""
    wall = schedule.walls.after(low - _SECOND) or low
    several = walls > 1
    which = f"{wall:%H:%M} and {walls - 1:,} more" if several else f"{wall:%H:%M}"
    fire = "fire" if several else "fires"
    day = f"on {low:%A %Y-%m-%d} the clock"
    if change.is_fold:
        does = f"{fire} the first time only" if schedule.policy.fold == "once" else f"{fire} both times"
        return f"{day} shows {low:%H:%M} to {high:%H:%M} twice: {which} {does} (fold: {schedule.policy.fold})"
    does = f"{fire} together at {high:%H:%M}" if several else f"{fire} at {high:%H:%M}"
    if schedule.policy.gap == "skip":
        does = "do not fire" if several else "does not fire"
    return f"{day} skips {low:%H:%M} to {high:%H:%M}: {which} {does} (gap: {schedule.policy.gap})"


def _of_pattern(schedule: WallSchedule) -> Iterator[Warned]:
    walls = schedule.walls
    if isinstance(schedule, RRule):
        yield from _month_days(schedule.parts.month_days, schedule.parts.months or EVERY_MONTH)
    if not isinstance(walls, WallPattern):
        return
    rule = walls.days
    if rule.either and rule.of_month is not None and rule.of_week is not None:
        yield Warned(
            "or_rule",
            "day of month and day of week are both given: it fires on days that match either of them, not both",
        )
    elif rule.of_month is not None and all(isinstance(term, Numbers) for term in rule.of_month):
        days = {day for term in rule.of_month if isinstance(term, Numbers) for day in term.numbers}
        yield from _month_days(sorted(days), walls.months)
    if isinstance(walls.times, ClockTimes):
        for name, values, size in (
            ("second", walls.times.seconds, 60), ("minute", walls.times.minutes, 60), ("hour", walls.times.hours, 24),
        ):  # fmt: skip
            yield from _uneven(name, values, size)


def _month_days(days: Sequence[int], months: Sequence[int]) -> Iterator[Warned]:
    """Yield days that some months do not have, if no earlier day is listed in addition."""
    if days and min(days) > 28 and any(_SHORTEST_MONTHS[month - 1] < min(days) for month in months):
        named = listed([ordinal(day) for day in days])
        yield Warned("day_29_31", f"months without a {named} are left out; the last day of each month is another rule")


def _uneven(name: str, values: Sequence[int], size: int) -> Iterator[Warned]:
    """Yield steps that do not divide the hour or day evenly: */7 is 7 minutes except for the last step of each hour."""
    steps = {later - earlier for earlier, later in pairwise(values)}
    if len(values) < 3 or len(steps) != 1:
        return
    (step,) = steps
    last = size - values[-1] + values[0]
    if values[0] < step and last < step:
        whole = {60: "hour" if name == "minute" else "minute", 24: "day"}[size]
        yield Warned(
            "uneven_step", f"every {step} {name}s, but the last step of each {whole} is {last} (from {values[-1]} on)"
        )


def _too_fast(first: Sequence[datetime], p95_seconds: float | None) -> Iterator[Warned]:
    if p95_seconds is None or len(first) < 2:
        return
    shortest = min((later - earlier for earlier, later in pairwise(first)), key=lambda span: span)
    if shortest.total_seconds() < p95_seconds:
        often, lasts = (
            describe_duration(round(span * 1_000_000)) for span in (shortest.total_seconds(), _rounded(p95_seconds))
        )
        yield Warned(
            "faster_than_handler",
            f"fires {often} apart, and 1 of 20 runs takes longer than {lasts}: fires will overlap",
        )


def _rounded(seconds: float) -> float:
    return round(seconds) if seconds >= 10 else round(seconds, 1) if seconds >= 1 else round(seconds, 3)
