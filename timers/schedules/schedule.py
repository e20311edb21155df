"""What every kind of schedule can do: say its instants, and say itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, NamedTuple, Self

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Missed:
    """The instants of a stretch of time, in short: the latest of them, and how many they are."""

    latest: datetime
    count: int


def together(parts: Iterable[Missed | None]) -> Missed | None:
    """Several counts of different instants as one."""
    found = [part for part in parts if part is not None]
    return Missed(max(part.latest for part in found), sum(part.count for part in found)) if found else None


class ToRun(NamedTuple):
    """The first instant that is to run."""

    instant: datetime | None
    excluded_until: datetime | None
    """Where none was found: all instants before it are excluded; None: the schedule has no further ones at all."""


class Schedule(ABC):
    """A rule that says at which instants something is due.

    A frozen value: no clock, no state, no database. Every datetime that goes in is aware, every one that comes out is
    in UTC. The answer for a moment depends on that moment alone, so a schedule may be asked from any point, as often
    as one likes, and a preview is what will fire.
    """

    __slots__ = ()

    kind: ClassVar[str]
    recurring: ClassVar[bool] = True

    @classmethod
    @abstractmethod
    def parse(cls, spec: Mapping[str, Any], time_zone: str) -> Self:
        """Make the schedule from its JSON spec, or raise InvalidRequest naming the field that is wrong."""

    @abstractmethod
    def first(self, not_before: datetime) -> datetime | None:
        """The first instant at or after `not_before`; None when there is none."""

    @abstractmethod
    def next_after(self, moment: datetime) -> datetime | None:
        """The first instant strictly after `moment`; None when there is no more."""

    @abstractmethod
    def missed(self, first: datetime, until: datetime) -> Missed | None:
        """The instants to run from `first`, itself one of the schedule's, to `until` inclusive; None: there are none.

        `first` always counts where it is to run: with an `until` before it the answer is `first` alone.
        """

    def count(self, begin: datetime, end: datetime) -> int:
        """How many instants lie from `begin` to before `end`, whether they are to run or not."""
        first = self.first(begin) if begin < end else None
        missed = None if first is None or first >= end else self.missed(first, end - _MICROSECOND)
        return 0 if missed is None else missed.count

    def reason(self, instant: datetime) -> str | None:
        """Why an instant of the schedule is not to run (see excluding.py); None: it is to run."""
        return None

    def to_run(self, moment: datetime) -> ToRun:
        """The first instant after `moment` that is to run, and how far it was looked for (see excluding.py)."""
        return ToRun(self.next_after(moment), None)

    def excluded(self, first: datetime, until: datetime) -> Missed | None:
        """The instants not to run from `first` to `until` inclusive; None: there are none."""
        return None

    @abstractmethod
    def describe(self) -> str:
        """The schedule in plain words, for people."""

    @abstractmethod
    def to_spec(self) -> dict[str, Any]:
        """The canonical JSON spec; parsed again in the same time zone it gives an equal schedule."""

    def meaning(self) -> object:
        """What the spec says, whatever its spelling and time zone: equal for two spellings of one rule.

        Two schedules of one kind and time zone whose meanings are equal have the same instants. Rules whose instants
        only happen to be the same may differ in it.
        """
        return self.to_spec()
