"""Excluding: a schedule as exclusion calendars let it be.

It has all instants of the schedule that it wraps, also the excluded ones, for which `reason` says why they are not to
run; and those to which excluded ones move (see moving.py), when `on_excluded` is before or after. An instant that moves
onto another is one with it.

A fixed delay has no instants of its own that could be excluded: it is due `delay` after the end of a run, or as soon
after that as nothing excludes it, whatever `on_excluded` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self
from zoneinfo import ZoneInfo

from timers.exceptions import InvalidRequest
from timers.schedules.calendar_counts import CalendarCounts
from timers.schedules.excluded_time import ExcludedTime, excluded_time
from timers.schedules.exclusions import ExclusionCalendar
from timers.schedules.instant import in_utc
from timers.schedules.interval import FixedDelay, FixedRate
from timers.schedules.moving import FARTHEST_DAYS, Moves
from timers.schedules.schedule import Missed, Schedule, ToRun
from timers.schedules.wall_schedule import WallSchedule

ON_EXCLUDED = ("suppress", "before", "after")
_LONGEST_WAIT = timedelta(days=400)
_LOOKED_AHEAD = timedelta(days=5 * 366)
_MOST_BLOCKS_PASSED = 500
_MICROSECOND = timedelta(microseconds=1)
_MOVED_TO = "; moved to "


@dataclass(frozen=True, slots=True)
class Excluding(Schedule):
    """A schedule, and the calendars whose time it leaves out: all instants in either sense."""

    kind: ClassVar[str] = "excluding"

    schedule: Schedule
    calendars: tuple[ExclusionCalendar, ...]
    on_excluded: str
    zone: ZoneInfo
    """The timer's: whose days the calendars without a zone of their own mean, and whose time of day a move keeps."""
    _time: ExcludedTime = field(init=False, repr=False, compare=False)
    _moves: Moves | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.on_excluded not in ON_EXCLUDED:
            raise InvalidRequest("on_excluded", f"must be one of {', '.join(ON_EXCLUDED)}", given=self.on_excluded)
        time = excluded_time(self.calendars, self.zone)
        moves = None
        if self.on_excluded != "suppress" and not isinstance(self.schedule, FixedDelay):
            moves = Moves(self.schedule, time, self.zone, after=self.on_excluded == "after")
        object.__setattr__(self, "_time", time)
        object.__setattr__(self, "_moves", moves)

    @classmethod
    def parse(cls, spec: Mapping[str, Any], time_zone: str) -> Self:  # noqa: ARG003
        raise InvalidRequest("schedule_kind", "is made of a schedule and its calendars, it has no spec of its own")

    def first(self, not_before: datetime) -> datetime | None:
        not_before = in_utc(not_before)
        if isinstance(self.schedule, FixedDelay):
            return self._free_from(not_before)
        return self.next_after(not_before - _MICROSECOND)

    def next_after(self, moment: datetime) -> datetime | None:
        """The first instant after `moment`, be it to run or not."""
        moment = in_utc(moment)
        nominal = self.schedule.next_after(moment)
        if isinstance(self.schedule, FixedDelay):
            return None if nominal is None else self._free_from(nominal)
        if self._moves is None:
            return nominal
        try:
            moved = self._moves.next_after(moment, nominal)
        except OverflowError:  # at either end of time nothing moves
            return nominal
        return min((at for at in (nominal, moved) if at is not None), default=None)

    def next_to_run(self, moment: datetime) -> datetime | None:
        """The first instant after `moment` that is to run; None when there is none, or none is found (see `to_run`)."""
        return self.to_run(moment).instant

    def to_run(self, moment: datetime) -> ToRun:
        """The first instant after `moment` that is to run, and how far it was looked for.

        What is excluded is passed over block by block: five years at most, and no more than 500 blocks that hold
        instants of the schedule.
        """
        moment = in_utc(moment)
        following = self.next_after(moment)
        for _ in range(_MOST_BLOCKS_PASSED):
            if following is None:
                return ToRun(None, None)
            free = self._time.free_from(following, _LONGEST_WAIT)
            if free == following:
                return ToRun(following, None)
            if free is None:
                return ToRun(None, following + _LONGEST_WAIT)
            if free - moment > _LOOKED_AHEAD:
                return ToRun(None, free)
            # Nothing runs within what is excluded, also nothing that moves.
            following = self.next_after(free - _MICROSECOND)
        return ToRun(None, following)

    def moved_from(self, instant: datetime) -> datetime | None:
        """Where an instant that is not the schedule's own moved from; None for one that is, or that is none at all."""
        if self._moves is None or self.schedule.first(instant) == instant:
            return None
        return self._moves.origin_of(in_utc(instant))

    def reason(self, instant: datetime) -> str | None:
        """Why an instant is not to run, and where it moved to; None: it is to run."""
        instant = in_utc(instant)
        reason = self._time.reason(instant)
        if reason is None:
            return None
        if self._moves is None:
            return f"excluded by {reason}"
        to = self._moves.target(instant)
        if to is None:
            return f"excluded by {reason}; there is no free day within {FARTHEST_DAYS} days {self.on_excluded} it"
        return f"excluded by {reason}{_MOVED_TO}{to.astimezone(self.zone).isoformat()}"

    def missed(self, first: datetime, until: datetime) -> Missed | None:
        """The instants to run from `first` to `until` inclusive, exact; None: there are none."""
        first, until = in_utc(first), in_utc(until)
        if until <= first or isinstance(self.schedule, FixedDelay):
            return Missed(first, 1) if self.reason(first) is None else None
        return self.counted(first, until + _MICROSECOND, excluded=False)

    def excluded(self, first: datetime, until: datetime) -> Missed | None:
        """The instants not to run from `first` to `until` inclusive, exact; None: there are none."""
        first, until = in_utc(first), in_utc(until)
        if until <= first or isinstance(self.schedule, FixedDelay):
            return None if self.reason(first) is None else Missed(first, 1)
        return self.counted(first, until + _MICROSECOND, excluded=True)

    def counted(self, begin: datetime, end: datetime, *, excluded: bool) -> Missed | None:
        """The instants from `begin` to before `end` that run, or else those that are excluded, exact.

        Not for a fixed delay, whose instants follow from its runs.
        """
        if not isinstance(self.schedule, (WallSchedule, FixedRate)):
            return self._walked(begin, end, excluded=excluded)
        counts = CalendarCounts(self.schedule, self._time, self.zone)
        if excluded:
            return counts.excluded(begin, end)
        return counts.free(begin, end) if self._moves is None else counts.with_moves(self._moves, begin, end)

    @property
    def moves_excluded(self) -> bool:
        """Whether excluded instants move to free ones."""
        return self._moves is not None

    def describe(self) -> str:
        names = " or ".join(calendar.name for calendar in self.calendars)
        moved = "" if self.on_excluded == "suppress" else f", but {self.on_excluded} it"
        return f"{self.schedule.describe()}; not when {names} excludes it{moved}"

    def to_spec(self) -> dict[str, Any]:
        """That of the schedule alone: which calendars hold is a policy."""
        return self.schedule.to_spec()

    def _walked(self, begin: datetime, end: datetime, *, excluded: bool) -> Missed | None:
        """The instants of a schedule that has few, from `begin` to before `end`, that run or are excluded."""
        instant, found = self.first(begin), []
        while instant is not None and instant < end:
            if self._time.excludes(instant) == excluded:
                found.append(instant)
            instant = self.next_after(instant)
        return Missed(found[-1], len(found)) if found else None

    def _free_from(self, instant: datetime) -> datetime:
        """The first free instant; where nothing is free for more than a year, one that is not, so that it is said."""
        return self._time.free_from(instant, _LONGEST_WAIT) or instant + _LONGEST_WAIT


def without_vain_move(
    reason: str, *, due: datetime, last_fire: datetime | None = None, end: datetime | None = None
) -> str:
    """Why an instant of a timer is not run; unlike Excluding.reason, it names no move to an instant that never runs.

    Args:
        reason: what Excluding.reason says of the instant, or any other one.
        due: the first instant that the timer has not dealt with.
        last_fire: the latest instant at which it ran; None: it never has.
        end: the timer's end; None: it has none.
    """
    excluded, moved, wall = reason.partition(_MOVED_TO)
    if not moved:
        return reason
    to = datetime.fromisoformat(wall)
    if end is not None and to > end:
        return f"{excluded}; not moved to {wall}, which is after the timer's end"
    if to < due and (last_fire is None or last_fire < to):
        return f"{excluded}; not moved to {wall}, which had passed"
    return reason
