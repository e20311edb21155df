"""Excluding: a schedule under exclusion calendars.

It has all instants of the wrapped schedule, including the excluded ones, for which `reason` says why they do not run.
In addition it has the instants to which excluded ones move (see moving.py), if `on_excluded` is before or after. An
instant that moves onto another one is merged with it.

A fixed delay has no instants of its own that could be excluded: it is due `delay` after the end of a run, or at the
first free instant after that, whatever `on_excluded` is.
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
    """A schedule and its exclusion calendars; it yields all instants, whether they run or not."""

    kind: ClassVar[str] = "excluding"

    schedule: Schedule
    calendars: tuple[ExclusionCalendar, ...]
    on_excluded: str
    zone: ZoneInfo
    """The timer's zone, for the days of calendars without their own zone and for the time of day that a move keeps."""
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
        """Return the first instant after `moment`, whether it runs or not."""
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
        """Return the first instant after `moment` that runs.

        None if there is none, or none was found (see `to_run`).
        """
        return self.to_run(moment).instant

    def to_run(self, moment: datetime) -> ToRun:
        """Return the first instant after `moment` that runs, and how far the search went.

        Excluded time is skipped block by block: at most five years, and at most 500 blocks that contain instants of the
        schedule.
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
            # Nothing runs within excluded time, not even a moved instant.
            following = self.next_after(free - _MICROSECOND)
        return ToRun(None, following)

    def moved_from(self, instant: datetime) -> datetime | None:
        """Return where a moved instant came from; None if it is the schedule's own, or no instant of it."""
        if self._moves is None or self.schedule.first(instant) == instant:
            return None
        return self._moves.origin_of(in_utc(instant))

    def reason(self, instant: datetime) -> str | None:
        """Return why an instant does not run, and where it moved to; None: it runs."""
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
        """Return the instants that run from `first` to `until` inclusive, exact; None: there are none."""
        first, until = in_utc(first), in_utc(until)
        if until <= first or isinstance(self.schedule, FixedDelay):
            return Missed(first, 1) if self.reason(first) is None else None
        return self.counted(first, until + _MICROSECOND, excluded=False)

    def excluded(self, first: datetime, until: datetime) -> Missed | None:
        """Return the instants that do not run from `first` to `until` inclusive, exact; None: there are none."""
        first, until = in_utc(first), in_utc(until)
        if until <= first or isinstance(self.schedule, FixedDelay):
            return None if self.reason(first) is None else Missed(first, 1)
        return self.counted(first, until + _MICROSECOND, excluded=True)

    def counted(self, begin: datetime, end: datetime, *, excluded: bool) -> Missed | None:
        """Return the instants from `begin` to before `end` that run, or those that are excluded, exact.

        Not for a fixed delay, whose instants depend on its runs.
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
        """Return the spec of the schedule alone: the calendars are a policy."""
        return self.schedule.to_spec()

    def _walked(self, begin: datetime, end: datetime, *, excluded: bool) -> Missed | None:
        """Count the instants of a sparse schedule, from `begin` to before `end`, that run or are excluded."""
        instant, found = self.first(begin), []
        while instant is not None and instant < end:
            if self._time.excludes(instant) == excluded:
                found.append(instant)
            instant = self.next_after(instant)
        return Missed(found[-1], len(found)) if found else None

    def _free_from(self, instant: datetime) -> datetime:
        """Return the first free instant.

        If nothing is free for more than a year, an excluded one, so that it is reported.
        """
        return self._time.free_from(instant, _LONGEST_WAIT) or instant + _LONGEST_WAIT


def without_vain_move(
    reason: str, *, due: datetime, last_fire: datetime | None = None, end: datetime | None = None
) -> str:
    """Return why an instant of a timer does not run, without a move to an instant that never runs.

    Excluding.reason names such a move.

    Args:
        reason: What Excluding.reason returned, or any other reason.
        due: First instant that the timer has not processed.
        last_fire: Latest instant at which it ran; None: it never has.
        end: End of the timer; None: it has none.
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
