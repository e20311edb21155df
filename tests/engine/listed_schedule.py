"""A schedule for the tests of the decision: the instants of a list, some of which are excluded."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

from timers.schedules import Missed, Schedule
from timers.schedules.instant import from_microseconds, to_microseconds
from timers.testing import START

SECOND = 1_000_000
START_US = to_microseconds(START)


def at(second: float) -> int:
    """Seconds after START, in microseconds."""
    return START_US + round(second * SECOND)


def seconds(instant_us: int) -> float:
    return (instant_us - START_US) / SECOND


@dataclass(frozen=True, slots=True)
class Listed(Schedule):
    """The instants of a list (seconds after START), some of which are excluded."""

    kind: ClassVar[str] = "listed"

    instants: tuple[int, ...]
    left_out: frozenset[int] = frozenset()

    @classmethod
    def parse(cls, spec: Mapping[str, Any], time_zone: str) -> Self:
        return cls(tuple(spec["instants"]), frozenset(spec["left_out"]))

    def first(self, not_before: datetime) -> datetime | None:
        return self.next_after(not_before - timedelta(microseconds=1))

    def next_after(self, moment: datetime) -> datetime | None:
        found = bisect_right(self._us(), to_microseconds(moment))
        return from_microseconds(self._us()[found]) if found < len(self.instants) else None

    def missed(self, first: datetime, until: datetime) -> Missed | None:
        return self._among(first, until, left_out=False)

    def reason(self, instant: datetime) -> str | None:
        return "excluded by a list" if seconds(to_microseconds(instant)) in self.left_out else None

    def excluded(self, first: datetime, until: datetime) -> Missed | None:
        return self._among(first, until, left_out=True)

    def describe(self) -> str:
        return f"at seconds {', '.join(map(str, self.instants))}"

    def to_spec(self) -> dict[str, Any]:
        return {"instants": list(self.instants), "left_out": sorted(self.left_out)}

    def _us(self) -> list[int]:
        return [at(instant) for instant in self.instants]

    def _among(self, first: datetime, until: datetime, *, left_out: bool) -> Missed | None:
        low = bisect_left(self._us(), to_microseconds(first))
        high = max(bisect_right(self._us(), to_microseconds(until)), low + 1)
        found = [instant for instant in self.instants[low:high] if (instant in self.left_out) == left_out]
        return Missed(from_microseconds(at(found[-1])), len(found)) if found else None
