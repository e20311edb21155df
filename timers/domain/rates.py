"""Rates: a number of executions per period, spread by a generic cell rate algorithm (GCRA).

One instant is kept for a rate: the theoretical arrival time (TAT) of the next execution. An execution may start up to a
burst's length before its TAT, and moves the next TAT one interval later. So in any time span no more executions start
than the rate allows, plus one burst (ITU-T I.371, annex A).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from timers.exceptions import InvalidRequest

_RATE: Final = re.compile(r"\s*([0-9]{1,9})\s*/\s*([0-9]{1,6})?\s*(s|min|h|d)\s*")
_UNITS: Final = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_MICROSECONDS: Final = 1_000_000
MAX_PER_SECOND: Final = 10_000
MAX_PERIOD_SECONDS: Final = 31 * 86_400
_EXPECTED: Final = "must be a count per period such as 50/s, 100/min, 1000/h or 10/30s"


@dataclass(frozen=True, slots=True)
class Rate:
    """A number of executions per period."""

    count: int
    per: int
    """Units of the period."""
    unit: str
    """One of: s, min, h, d."""

    @classmethod
    def parse(cls, value: Any, field: str) -> Rate:
        """Parse text such as 50/s, 100/min, 10/30s. Raises InvalidRequest."""
        match = _RATE.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise InvalidRequest(field, f"{_EXPECTED}, or null for no limit", given=value)
        rate = cls(int(match[1]), int(match[2] or 1), match[3])
        if rate.count < 1 or rate.per < 1:
            raise InvalidRequest(field, "must be at least 1 per period; to run nothing, pause the group", given=value)
        if rate.seconds > MAX_PERIOD_SECONDS:
            raise InvalidRequest(field, "must have a period of at most 31 days", given=value)
        if rate.count > rate.seconds * MAX_PER_SECOND:
            raise InvalidRequest(field, f"must be at most {MAX_PER_SECOND:,} per second", given=value)
        return rate

    def __str__(self) -> str:
        return f"{self.count}/{self.per if self.per > 1 else ''}{self.unit}"

    @property
    def seconds(self) -> int:
        """Length of the period in seconds."""
        return self.per * _UNITS[self.unit]

    @property
    def interval_us(self) -> int:
        """Microseconds between two executions, rounded up so that the rate is never exceeded."""
        return -(-self.seconds * _MICROSECONDS // self.count)

    def burst(self, max_batch: int) -> int:
        """Return how many may start together after a quiet time: half a second of the rate, 1 to max_batch."""
        return max(1, min(max_batch, self.count // (2 * self.seconds)))


@dataclass(slots=True)
class Arrivals:
    """State of one rate: when the next executions may start. Instants are microseconds since 1970 UTC."""

    rate: Rate
    burst: int
    tat_us: int = 0
    """Theoretical arrival time of the next execution; if it has passed, a whole burst is allowed."""

    def next_us(self, now_us: int) -> int:
        """Return when the next one may start, now at the earliest."""
        return max(now_us, self.tat_us - (self.burst - 1) * self.rate.interval_us)

    def room(self, now_us: int, until_us: int) -> int:
        """Return how many may start from now to an instant."""
        interval = self.rate.interval_us
        ahead = until_us - max(self.tat_us, now_us) + (self.burst - 1) * interval
        return max(ahead // interval + 1, 0)

    def take(self, now_us: int) -> int:
        """Let the next one start, and return when it may."""
        start_us = self.next_us(now_us)
        self.tat_us = max(self.tat_us, now_us) + self.rate.interval_us
        return start_us
