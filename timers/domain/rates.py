"""Rates: so many executions in so long, as a generic cell rate algorithm (GCRA) spreads them.

One instant is kept for a rate: the theoretical arrival time (TAT) of the next execution. An execution may start a
burst's length before its TAT and puts the next TAT one interval later, so in any span of time no more start than the
rate gives, and one burst (ITU-T I.371, annex A).
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
    """So many in each period."""

    count: int
    per: int
    """Units of the period."""
    unit: str
    """s, min, h or d."""

    @classmethod
    def parse(cls, value: Any, field: str) -> Rate:
        """Read text such as 50/s, 100/min, 10/30s; raises InvalidRequest."""
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
        """The length of the period."""
        return self.per * _UNITS[self.unit]

    @property
    def interval_us(self) -> int:
        """Microseconds between two executions, rounded up: never more than the rate."""
        return -(-self.seconds * _MICROSECONDS // self.count)

    def burst(self, max_batch: int) -> int:
        """How many may start together after a quiet time: what half a second gives, one to a batch."""
        return max(1, min(max_batch, self.count // (2 * self.seconds)))


@dataclass(slots=True)
class Arrivals:
    """The state of one rate: when the next executions may start. Instants are microseconds since 1970 UTC."""

    rate: Rate
    burst: int
    tat_us: int = 0
    """The theoretical arrival time of the next execution; one that has passed allows a whole burst."""

    def next_us(self, now_us: int) -> int:
        """When the next one may start, now at the earliest."""
        return max(now_us, self.tat_us - (self.burst - 1) * self.rate.interval_us)

    def room(self, now_us: int, until_us: int) -> int:
        """How many may start from now to an instant."""
        interval = self.rate.interval_us
        ahead = until_us - max(self.tat_us, now_us) + (self.burst - 1) * interval
        return max(ahead // interval + 1, 0)

    def take(self, now_us: int) -> int:
        """Let the next one start; returns when it may."""
        start_us = self.next_us(now_us)
        self.tat_us = max(self.tat_us, now_us) + self.rate.interval_us
        return start_us
