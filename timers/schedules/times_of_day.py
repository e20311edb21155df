"""Times of day: which seconds of a day match, the same on each matching day."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Protocol

from timers.schedules.second_masks import every_second


class TimesOfDay(Hashable, Protocol):
    """Some seconds of the day (at least one), counted from 0 at midnight to 86,399."""

    @property
    def total(self) -> int:
        """Number of times."""

    def after(self, second: int) -> int | None:
        """Return the first of them strictly after a second of the day (-1: the first of all); None if there is none."""

    def count_before(self, second: int) -> int:
        """Return how many of them are strictly before a second of the day."""

    def mask(self) -> int:
        """Return all of them as one integer (see second_masks.py)."""


@dataclass(frozen=True, slots=True)
class ClockTimes:
    """Every combination of these hours, minutes and seconds, each sorted and none empty."""

    hours: tuple[int, ...]
    minutes: tuple[int, ...]
    seconds: tuple[int, ...] = (0,)

    @property
    def total(self) -> int:
        return len(self.hours) * len(self.minutes) * len(self.seconds)

    def after(self, second: int) -> int | None:
        hour, minute, second = second // 3_600, second // 60 % 60, second % 60
        if hour in self.hours:
            if minute in self.minutes:
                later = bisect_right(self.seconds, second)
                if later < len(self.seconds):
                    return hour * 3_600 + minute * 60 + self.seconds[later]
            later = bisect_right(self.minutes, minute)
            if later < len(self.minutes):
                return hour * 3_600 + self.minutes[later] * 60 + self.seconds[0]
        later = bisect_right(self.hours, hour)
        if later < len(self.hours):
            return self.hours[later] * 3_600 + self.minutes[0] * 60 + self.seconds[0]
        return None

    def count_before(self, second: int) -> int:
        hour, minute, second = second // 3_600, second // 60 % 60, second % 60
        count = bisect_left(self.hours, hour) * len(self.minutes) * len(self.seconds)
        if hour in self.hours:
            count += bisect_left(self.minutes, minute) * len(self.seconds)
            if minute in self.minutes:
                count += bisect_left(self.seconds, second)
        return count

    def mask(self) -> int:
        minute = sum(1 << second for second in self.seconds)
        hour = sum(minute << 60 * each for each in self.minutes)
        return sum(hour << 3_600 * each for each in self.hours)

    def nth(self, number: int) -> int:
        """Return the second of the day with that many of them before it; `number` is less than `total`."""
        rest, second = divmod(number, len(self.seconds))
        hour, minute = divmod(rest, len(self.minutes))
        return self.hours[hour] * 3_600 + self.minutes[minute] * 60 + self.seconds[second]


@dataclass(frozen=True, slots=True)
class ListedTimes:
    """These seconds of the day, sorted."""

    listed: tuple[int, ...]

    @property
    def total(self) -> int:
        return len(self.listed)

    def after(self, second: int) -> int | None:
        later = bisect_right(self.listed, second)
        return self.listed[later] if later < len(self.listed) else None

    def count_before(self, second: int) -> int:
        return bisect_left(self.listed, second)

    def mask(self) -> int:
        return sum(1 << second for second in self.listed)


@dataclass(frozen=True, slots=True)
class RegularTimes:
    """Seconds of the day at equal distances, from a first one on."""

    seconds: range

    @property
    def total(self) -> int:
        return len(self.seconds)

    def after(self, second: int) -> int | None:
        found = self.count_before(second + 1)
        return self.seconds[found] if found < len(self.seconds) else None

    def count_before(self, second: int) -> int:
        return min(len(self.seconds), max(0, -((self.seconds.start - second) // self.seconds.step)))

    def mask(self) -> int:
        return every_second(self.seconds.start, self.seconds.step, self.seconds.stop)
