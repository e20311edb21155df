"""Years of a recurrence rule (RFC 5545, section 3.3.10): on which days it fires, how often, and at which times.

FREQ and INTERVAL select the periods, the BY parts their days and times. There are three forms:

- EvenYears: all matching days fire at the same times.
- SteppedYears: hours, minutes or seconds whose INTERVAL does not divide the day, so that each day has its own times.
- ChosenYears: BYSETPOS chooses from each period.

Walls before the rule's start are treated as part of the rule; the caller leaves them out.
"""

from __future__ import annotations

from calendar import isleap
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import lru_cache
from itertools import compress
from typing import Protocol

from timers.schedules.matching_days import DayFilter, MatchingDays, both, every, matching_days, month_bounds
from timers.schedules.rrule_text import RuleParts
from timers.schedules.stepped_times import UNIT_SECONDS, Steps, in_steps, times_from, units_by_phase
from timers.schedules.times_of_day import ClockTimes, ListedTimes, TimesOfDay


class RuleYears(Protocol):
    """Evaluation of a rule by year. Days are indices: 0 is 1 January."""

    def days(self, year: int) -> bytes:
        """Return one byte for each day of the year: 1 if the rule fires."""

    def total(self, year: int, until: int | None = None) -> int:
        """Return how often it fires in the year; with `until`, before that day."""

    def times(self, year: int, day: int) -> TimesOfDay:
        """Return when it fires on one of its days."""


def completed(parts: RuleParts, start: datetime) -> RuleParts:
    """Return the rule with the parts that it takes from its start."""
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
    if not parts.hours and parts.frequency not in UNIT_SECONDS:
        found["hours"] = (start.hour,)
    if not parts.minutes and parts.frequency not in ("MINUTELY", "SECONDLY"):
        found["minutes"] = (start.minute,)
    if not parts.seconds and parts.frequency != "SECONDLY":
        found["seconds"] = (start.second,)
    return replace(parts, **found)  # type: ignore[arg-type]


def years_of(parts: RuleParts, start: datetime) -> RuleYears | None:
    """Return the years of a completed rule; None if its times of day never occur."""
    matching = matching_days(
        DayFilter(
            parts.weekdays, parts.month_days, parts.year_days, parts.weeks, parts.months, parts.week_start,
            counts_in_year=parts.frequency == "YEARLY" and not parts.months,
        )
    )  # fmt: skip
    if parts.positions and parts.frequency == "DAILY":  # each day is a period, so all choices are equal
        chosen = _choice(ClockTimes(parts.hours, parts.minutes, parts.seconds), parts.positions, 1)
        return EvenYears(parts, start, matching, chosen.times[0]) if chosen.times else None
    if parts.positions:
        return ChosenYears(parts, start, matching, {}, {})
    unit = UNIT_SECONDS.get(parts.frequency)
    if unit is None:
        return EvenYears(parts, start, matching, ClockTimes(parts.hours, parts.minutes, parts.seconds))
    steps = Steps(unit, parts.interval, parts.hours, parts.minutes, parts.seconds)
    first = (start.hour * 3_600 + start.minute * 60 + start.second) // unit
    if steps.units_a_day % parts.interval == 0:
        times = times_from(steps, first % parts.interval)
        return None if times is None else EvenYears(replace(parts, interval=1), start, matching, times)
    return SteppedYears(steps, start.date().toordinal() * steps.units_a_day + first, matching)


@dataclass(frozen=True, slots=True)
class EvenYears:
    """All matching days of the selected periods fire at the same times."""

    parts: RuleParts
    start: datetime
    matching: MatchingDays
    each: TimesOfDay

    def days(self, year: int) -> bytes:
        if self.parts.frequency == "YEARLY" and not year_takes_part(self.parts, self.start, year):
            return bytes(365 + isleap(year))
        return in_turn(self.parts, self.start, year, self.matching.of_year(year))

    def total(self, year: int, until: int | None = None) -> int:
        return self.days(year).count(1, 0, until) * self.each.total

    def times(self, year: int, day: int) -> TimesOfDay:
        return self.each


@dataclass(frozen=True, slots=True)
class SteppedYears:
    """Each day has its own phase: the first of its units that is selected."""

    steps: Steps
    origin: int
    """First selected unit of all, counted from the year 1."""
    matching: MatchingDays

    def days(self, year: int) -> bytes:
        row = self.matching.of_year(year)
        if self._has_every_day or 1 not in row:
            return row
        if self.steps.interval <= self.steps.units_a_day:
            return both(row, bytes(map(bool, self._units(year, len(row)))))
        found = bytearray(len(row))
        for day in self._single(year, len(row)):
            found[day] = row[day]
        return bytes(found)

    def total(self, year: int, until: int | None = None) -> int:
        row = self.matching.of_year(year)[:until]
        if 1 not in row:
            return 0
        if self.steps.interval > self.steps.units_a_day:
            units = sum(map(row.__getitem__, self._single(year, len(row))))
        elif not self.steps.is_filtered and 0 not in row:
            first = self._unit(year)
            units = self._steps_before(first + len(row) * self.steps.units_a_day) - self._steps_before(first)
        else:
            units = sum(compress(self._units(year, len(row)), row))
        return units * self.steps.times_of_unit

    def times(self, year: int, day: int) -> TimesOfDay:
        phase = (self.origin - self._unit(year) - day * self.steps.units_a_day) % self.steps.interval
        times = times_from(self.steps, phase)
        assert times is not None  # one of its days
        return times

    @property
    def steady_seconds(self) -> int | None:
        """Seconds between any two consecutive fires if they are constant, otherwise None."""
        if self.steps.is_filtered or self.steps.times_of_unit != 1 or not self.matching.are_all:
            return None
        return self.steps.interval * self.steps.unit

    @property
    def _has_every_day(self) -> bool:
        return not self.steps.is_filtered and self.steps.interval <= self.steps.units_a_day

    def _units(self, year: int, length: int) -> Sequence[int]:
        """Return how many units are selected and match, on each of the first `length` days.

        For intervals up to a day.
        """
        phase = (self.origin - self._unit(year)) % self.steps.interval
        return in_steps(units_by_phase(self.steps), phase, -self.steps.units_a_day, length)

    def _single(self, year: int, length: int) -> Iterator[int]:
        """Yield the days, among the first `length` of the year, with a selected and matching unit: at most one each."""
        a_day = self.steps.units_a_day
        first = (self.origin - self._unit(year)) % self.steps.interval
        units = range(first, length * a_day, self.steps.interval)
        days = map(a_day.__rfloordiv__, units)
        if not self.steps.is_filtered:
            return days
        matching = in_steps(units_by_phase(self.steps), first % a_day, self.steps.interval, len(units))
        return compress(days, matching) if 1 in matching else iter(())

    def _steps_before(self, unit: int) -> int:
        """Return the number of selected units before this one, negative before the origin; only differences matter."""
        return -((self.origin - unit) // self.steps.interval)

    def _unit(self, year: int) -> int:
        """Return the first unit of a year, counted from the year 1."""
        return date(year, 1, 1).toordinal() * self.steps.units_a_day


@dataclass(frozen=True, slots=True)
class _Choice:
    """Choice of BYSETPOS in a period with a given number of matching days: times by the position of the day."""

    times: dict[int, ListedTimes]
    total: int


@dataclass(frozen=True, slots=True)
class ChosenYears:
    """BYSETPOS chooses some of the times of each period; the choice depends on the number of matching days in it."""

    parts: RuleParts
    start: datetime
    matching: MatchingDays
    _choices: dict[int, _Choice]
    """Choices by the number of matching days in the period."""
    _totals: dict[Hashable, int]
    """Totals by the kind of year, if all years of a kind are equal."""

    def days(self, year: int) -> bytes:
        found = bytearray(365 + isleap(year))
        for day, _ in self._chosen(self._periods(year), len(found)):
            found[day] = 1
        return bytes(found)

    def total(self, year: int, until: int | None = None) -> int:
        if until is not None:
            return self._count(year, until)
        if self.parts.interval > 1:
            return self._count(year, 365 + isleap(year))
        kind = date(year, 1, 1).weekday(), isleap(year - 1), isleap(year), isleap(year + 1)
        total = self._totals.get(kind)
        if total is None:
            total = self._totals[kind] = self._count(year, 365 + isleap(year))
        return total

    def times(self, year: int, day: int) -> TimesOfDay:
        for begin, row in self._periods(year):
            if begin <= day < begin + len(row):
                return self._choice(row.count(1)).times[row.count(1, 0, day - begin)]
        raise LookupError(f"the rule does not fire on day {day} of {year}")

    def _count(self, year: int, end: int) -> int:
        """Return how often the rule fires in the year before the day `end`."""
        total, cut = 0, []
        for begin, row in self._periods(year):
            if begin >= 0 and begin + len(row) <= end:
                total += self._choice(row.count(1)).total
            elif begin < end:
                cut.append((begin, row))
        return total + sum(times.total for _, times in self._chosen(cut, end))

    def _chosen(self, periods: Iterable[tuple[int, bytes]], end: int) -> Iterator[tuple[int, ListedTimes]]:
        """Yield the chosen days of these periods, from 0 to before `end`, with their times."""
        for begin, row in periods:
            choice = self._choice(row.count(1))
            if choice.times:
                matching = list(compress(range(begin, begin + len(row)), row))
                for place, times in choice.times.items():
                    if 0 <= matching[place] < end:
                        yield matching[place], times

    def _periods(self, year: int) -> Iterator[tuple[int, bytes]]:
        """Yield the selected periods that have days in the year: their first days, and which days match."""
        parts, start = self.parts, self.start
        if parts.frequency == "YEARLY":
            if year_takes_part(parts, start, year):
                yield 0, self.matching.of_year(year)
        elif parts.frequency == "MONTHLY":
            row = self.matching.of_year(year)
            for begin, end in months_in_turn(parts, start, year, len(row)):
                yield begin, row[begin:end]
        else:
            row = self.matching.of_year(year)
            around = self._beside(year - 1)[-7:] + row + self._beside(year + 1)[:7]
            for begin in weeks_in_turn(parts, start, year, len(row)):
                yield begin, around[begin + 7 : begin + 14]

    def _beside(self, year: int) -> bytes:
        return self.matching.of_year(year) if date.min.year <= year <= date.max.year else bytes(366)

    def _choice(self, matching: int) -> _Choice:
        choice = self._choices.get(matching)
        if choice is None:
            choice = self._choices[matching] = _choice(
                ClockTimes(self.parts.hours, self.parts.minutes, self.parts.seconds), self.parts.positions, matching
            )
        return choice


@lru_cache(maxsize=256)
def _choice(times: ClockTimes, positions: tuple[int, ...], matching: int) -> _Choice:
    chosen: dict[int, set[int]] = {}
    length = matching * times.total
    for position in positions:
        at = position - 1 if position > 0 else length + position
        if 0 <= at < length:
            place, time = divmod(at, times.total)
            chosen.setdefault(place, set()).add(times.nth(time))
    listed = {place: ListedTimes(tuple(sorted(seconds))) for place, seconds in sorted(chosen.items())}
    return _Choice(listed, sum(each.total for each in listed.values()))


def in_turn(parts: RuleParts, start: datetime, year: int, row: bytes) -> bytes:
    """Return the matching days that lie in periods selected by INTERVAL (FREQ of days or more)."""
    length = len(row)
    if parts.interval == 1 or 1 not in row:
        return row
    if parts.frequency == "YEARLY":
        return row if year_takes_part(parts, start, year) else bytes(length)
    if parts.frequency == "DAILY":
        first = (start.date().toordinal() - date(year, 1, 1).toordinal()) % parts.interval
        return both(row, every(length, first, parts.interval))
    takes_part = bytearray(length)
    if parts.frequency == "MONTHLY":
        for begin, end in months_in_turn(parts, start, year, length):
            takes_part[begin:end] = row[begin:end]
    else:
        for begin in weeks_in_turn(parts, start, year, length):
            takes_part[max(begin, 0) : begin + 7] = row[max(begin, 0) : begin + 7]
    return bytes(takes_part)


def year_takes_part(parts: RuleParts, start: datetime, year: int) -> bool:
    """Return whether INTERVAL selects a year, for FREQ=YEARLY."""
    return (year - start.year) % parts.interval == 0


def months_in_turn(parts: RuleParts, start: datetime, year: int, length: int) -> Sequence[tuple[int, int]]:
    """Return the bounds of the selected months in a year of that length, for FREQ=MONTHLY."""
    return month_bounds(length)[(start.month - 1 - (year - start.year) * 12) % parts.interval :: parts.interval]


def weeks_in_turn(parts: RuleParts, start: datetime, year: int, length: int) -> range:
    """Return the first days of the selected weeks in a year of that length, for FREQ=WEEKLY; one may be negative."""
    # In days from 1 January: the beginning of the start's week, which may be in any year.
    week = start.date().toordinal() - (start.isoweekday() - parts.week_start) % 7 - date(year, 1, 1).toordinal()
    step = 7 * parts.interval
    return range((week + 6) % step - 6, length, step)
