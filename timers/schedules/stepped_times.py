"""Times of day of rules that step through the hours, minutes or seconds (FREQ=HOURLY, MINUTELY, SECONDLY).

A rule selects every `interval`th unit (hour, minute, second). The units of a day that are selected begin at a first
one, its *phase*. BYHOUR, BYMINUTE and BYSECOND restrict which of them match. The matching units are a row of bytes, one
for each unit of the day; a phase is a slice of it, so that nothing walks second by second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from timers.schedules.second_masks import every_second
from timers.schedules.times_of_day import ClockTimes, RegularTimes, TimesOfDay

SECONDS_A_DAY: Final = 86_400
UNIT_SECONDS: Final = {"HOURLY": 3_600, "MINUTELY": 60, "SECONDLY": 1}
_BYTE: Final = 255
_LONGEST_ROUND: Final = 500_000
"""Maximum number of bytes that are copied for one slice; beyond that each entry is looked up individually."""


class Steps(NamedTuple):
    """How a rule steps through the day, and which units match; empty: all of them."""

    unit: int
    """Length of the unit in seconds: 3,600, 60 or 1."""
    interval: int
    """Interval in units."""
    hours: tuple[int, ...]
    minutes: tuple[int, ...]
    """Matching minutes; for hours, the minutes at which each of them fires."""
    seconds: tuple[int, ...]
    """Matching seconds; for hours and minutes, the seconds at which each of them fires."""

    @property
    def units_a_day(self) -> int:
        return SECONDS_A_DAY // self.unit

    @property
    def is_filtered(self) -> bool:
        """Whether some units do not match."""
        return bool(self.hours or (self.unit < 3_600 and self.minutes) or (self.unit == 1 and self.seconds))

    @property
    def times_of_unit(self) -> int:
        """Number of fires of a matching unit."""
        return (len(self.minutes) if self.unit == 3_600 else 1) * (len(self.seconds) if self.unit > 1 else 1)


def times_from(steps: Steps, phase: int) -> TimesOfDay | None:
    """Return the times of a day whose first selected unit is `phase`; None if there are none."""
    if phase >= steps.units_a_day:
        return None
    hours, minutes, seconds = steps.hours or range(24), steps.minutes or range(60), steps.seconds or range(60)
    # If the interval divides the next larger unit, the phase selects the same units in each of those.
    if steps.unit == 3_600:
        found = [hour for hour in hours if hour >= phase and (hour - phase) % steps.interval == 0]
        return _clock(found, minutes, seconds)
    if 60 % steps.interval == 0:
        if steps.unit == 60:
            return _clock(hours, [minute for minute in minutes if minute % steps.interval == phase], seconds)
        return _clock(hours, minutes, [second for second in seconds if second % steps.interval == phase])
    if steps.unit == 1 and not steps.is_filtered:
        return RegularTimes(range(phase, SECONDS_A_DAY, steps.interval))
    times = SteppedTimes(steps, phase)
    return times if times.total else None


@dataclass(frozen=True, slots=True)
class SteppedTimes:
    """The matching units from a phase on. Stores nothing: the tables that it uses are shared by all rules."""

    steps: Steps
    phase: int

    @property
    def total(self) -> int:
        return _matching(self.steps, self.phase).count(1) * self.steps.times_of_unit

    def after(self, second: int) -> int | None:
        steps = self.steps
        unit, rest = divmod(second, steps.unit)  # -1 is the last second of the unit before the first
        place, beyond = divmod(unit - self.phase, steps.interval)
        row = _matching(steps, self.phase)
        if not beyond and 0 <= place < len(row) and row[place] and steps.unit == 60:
            later = next((each for each in steps.seconds if each > rest), None)
            if later is not None:
                return unit * 60 + later
        found = row.find(1, max(0, place + 1))
        return None if found < 0 else (self.phase + found * steps.interval) * steps.unit + self._first_of_unit

    def count_before(self, second: int) -> int:
        steps = self.steps
        unit, rest = divmod(second, steps.unit)
        place, beyond = divmod(unit - self.phase, steps.interval)
        row = _matching(steps, self.phase)
        whole = row.count(1, 0, max(0, place + (beyond > 0))) * steps.times_of_unit
        if not beyond and 0 <= place < len(row) and row[place] and steps.unit == 60:
            whole += sum(each < rest for each in steps.seconds)
        return whole

    def mask(self) -> int:
        unit = self.steps.unit
        units = every_second(self.phase * unit, self.steps.interval * unit) & _matching_seconds(self.steps)
        return units * sum(1 << second for second in self.steps.seconds) if unit == 60 else units

    @property
    def _first_of_unit(self) -> int:
        return self.steps.seconds[0] if self.steps.unit == 60 else 0


@lru_cache(maxsize=64)
def units_by_phase(steps: Steps) -> Sequence[int]:
    """Return how many units match on a day, by its phase; for intervals up to a day, otherwise up to the day's end."""
    row, interval = _row(steps.unit, steps.hours, steps.minutes, steps.seconds), steps.interval
    if interval >= len(row):
        return row
    slices = -(-len(row) // interval)
    if slices > _BYTE:
        return [row[phase::interval].count(1) for phase in range(interval)]
    # All phases are summed at once, as the digits of numbers in base 256: no digit exceeds 255.
    padded = row.ljust(slices * interval, b"\x00")
    digits = sum(int.from_bytes(padded[at : at + interval]) for at in range(0, len(padded), interval))
    return digits.to_bytes(interval)


def in_steps(table: Sequence[int], start: int, step: int, count: int) -> Sequence[int]:
    """Return `count` entries of a circular table, from `start` on, each `step` after the previous one."""
    size = len(table)
    start, step = start % size, step % size
    if 2 * step > size:
        step -= size
    reach = abs(step) * count
    if not step:
        return [table[start]] * count
    if reach > _LONGEST_ROUND or not isinstance(table, bytes):
        entries = map(table.__getitem__, map(size.__rmod__, range(start, start + step * count, step)))
        return bytes(entries) if isinstance(table, bytes) else list(entries)
    # Most rules drift by little from one day to the next: then it is one slice.
    rounds = reach // size + 1
    if step < 0:
        start += rounds * size
    return (table * (rounds + 1))[start : start + step * count : step]


@lru_cache(maxsize=256)
def _matching(steps: Steps, phase: int) -> bytes:
    """Return one byte for each of the units from a phase on: 1 if it matches."""
    return _row(steps.unit, steps.hours, steps.minutes, steps.seconds)[phase :: steps.interval]


@lru_cache(maxsize=16)
def _matching_seconds(steps: Steps) -> int:
    """Return the first seconds of the units that match."""
    seconds = (steps.seconds or range(60)) if steps.unit == 1 else (0,)
    return ClockTimes(tuple(steps.hours or range(24)), tuple(steps.minutes or range(60)), tuple(seconds)).mask()


@lru_cache(maxsize=32)
def _row(unit: int, hours: tuple[int, ...], minutes: tuple[int, ...], seconds: tuple[int, ...]) -> bytes:
    """Return one byte for each unit of the day: 1 if it matches."""
    row = b"\x01"
    for size, size_of_unit, chosen in ((60, 1, seconds), (60, 60, minutes), (24, 3_600, hours)):
        if unit <= size_of_unit:
            row = b"".join(row if not chosen or n in chosen else bytes(len(row)) for n in range(size))
    return row


def _clock(hours: Sequence[int], minutes: Sequence[int], seconds: Sequence[int]) -> ClockTimes | None:
    return ClockTimes(tuple(hours), tuple(minutes), tuple(seconds)) if hours and minutes and seconds else None
