"""Base class of all kinds of schedules."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

if TYPE_CHECKING:
    from timers.schedules.kinds import Context, Keyword

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
    summary: ClassVar[str]
    """What it is for, in a few words."""
    keywords: ClassVar[tuple[Keyword, ...]]
    """The keywords with which it is requested; null counts as not given."""
    example: ClassVar[Mapping[str, Any]]
    """Keywords of a request, such as `{"period": 60}`."""
    recurring: ClassVar[bool] = True
    follows_wall_clock: ClassVar[bool] = True
    """Whether its instants depend on the rules of a time zone."""
    starts_later: ClassVar[bool] = False
    """Whether the first fire of a timer without start_at is after now, never at it."""
    counts_from: ClassVar[str | None] = None
    """Name of the spec's field with the instant from which it counts; None: it counts from none."""

    @classmethod
    def spec_from(cls, given: Mapping[str, Any], context: Context) -> dict[str, Any]:  # noqa: ARG003
        """Return the spec as it is stored, for the keywords of a request that are not null."""
        return dict(given)

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
