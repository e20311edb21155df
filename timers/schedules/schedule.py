"""Base class of all kinds of schedules."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, NamedTuple, Self

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Missed:
    """Summary of the instants of a time range: the latest one, and their number."""

    latest: datetime
    count: int


def together(parts: Iterable[Missed | None]) -> Missed | None:
    """Merge several counts of distinct instants."""
    found = [part for part in parts if part is not None]
    return Missed(max(part.latest for part in found), sum(part.count for part in found)) if found else None


class ToRun(NamedTuple):
    """The first instant that runs."""

    instant: datetime | None
    excluded_until: datetime | None
    """If none was found: all instants before this one are excluded; None: the schedule has no more instants at all."""


class Schedule(ABC):
    """A rule that computes at which instants something is due.

    A frozen value: no clock, no state, no database. Every datetime argument is aware, every returned one is in UTC. The
    result for a moment depends on that moment alone, so a schedule can be evaluated from any point, any number of
    times, and a preview shows what will fire.
    """

    __slots__ = ()

    kind: ClassVar[str]
    recurring: ClassVar[bool] = True

    @classmethod
    @abstractmethod
    def parse(cls, spec: Mapping[str, Any], time_zone: str) -> Self:
        """Build the schedule from its JSON spec. Raises InvalidRequest that names the invalid field."""

    @abstractmethod
    def first(self, not_before: datetime) -> datetime | None:
        """Return the first instant at or after `not_before`; None if there is none."""

    @abstractmethod
    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first instant strictly after `moment`; None if there is none."""

    @abstractmethod
    def missed(self, first: datetime, until: datetime) -> Missed | None:
        """Return the instants that run from `first` to `until` inclusive; None: there are none.

        `first` must be an instant of the schedule. It is always counted if it runs: with an `until` before it, the
        result is `first` alone.
        """

    def count(self, begin: datetime, end: datetime) -> int:
        """Return the number of instants from `begin` to before `end`, whether they run or not."""
        first = self.first(begin) if begin < end else None
        missed = None if first is None or first >= end else self.missed(first, end - _MICROSECOND)
        return 0 if missed is None else missed.count

    def reason(self, instant: datetime) -> str | None:
        """Return why an instant of the schedule does not run (see excluding.py); None: it runs."""
        return None

    def to_run(self, moment: datetime) -> ToRun:
        """Return the first instant after `moment` that runs, and how far the search went (see excluding.py)."""
        return ToRun(self.next_after(moment), None)

    def excluded(self, first: datetime, until: datetime) -> Missed | None:
        """Return the instants that do not run from `first` to `until` inclusive; None: there are none."""
        return None

    @abstractmethod
    def describe(self) -> str:
        """Describe the schedule in plain English."""

    @abstractmethod
    def to_spec(self) -> dict[str, Any]:
        """Return the canonical JSON spec; parsed again in the same time zone it gives an equal schedule."""

    def meaning(self) -> object:
        """Return the meaning of the spec, independent of spelling and time zone: equal for two spellings of one rule.

        Two schedules of one kind and time zone with equal meanings have the same instants. Rules whose instants happen
        to be the same may have different meanings.
        """
        return self.to_spec()
