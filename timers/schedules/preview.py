"""Preview: the next fires of a schedule, the schedule in words, and what might surprise about it.

It asks the very schedule that fires, by its own next_after, so what it shows is what will fire.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from timers.schedules.excluding import Excluding
from timers.schedules.exclusions import ExclusionCalendar
from timers.schedules.instant import in_utc
from timers.schedules.interval import FixedDelay
from timers.schedules.preview_warnings import SEARCHED, Warned, warnings_of
from timers.schedules.schedule import Schedule
from timers.schedules.wall_schedule import WallSchedule
from timers.schedules.zones import zone as zone_of

_UTC = zone_of("UTC")
_MOST = 1_000
_SKIPPED_ONE_BY_ONE = 3
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Previewed:
    """One instant of the schedule: a fire, or one that is skipped."""

    at: datetime
    """UTC, without the timer's share of the jitter."""
    wall: str
    """As the clock of the timer's zone shows it: "Sun 2027-03-28 03:00:00 +02:00"."""
    note: str = ""
    """What is special about it: "for 02:30, which is skipped", "moved from ...", "skipped: excluded by ..."."""
    runs: bool = True


@dataclass(frozen=True, slots=True)
class Preview:
    """What a schedule will do."""

    words: str
    instants: tuple[Previewed, ...]
    """The next fires in order, and between them what is skipped."""
    warnings: tuple[Warned, ...]

    @property
    def fires(self) -> list[datetime]:
        """The instants that run (UTC)."""
        return [instant.at for instant in self.instants if instant.runs]


def preview(
    schedule: Schedule,
    n: int = 10,
    *,
    after: datetime,
    zone: ZoneInfo | None = None,
    start_at: datetime | None = None,
    end_at: datetime | None = None,
    max_fires: int | None = None,
    jitter_offset: timedelta = timedelta(),
    exclusions: Sequence[ExclusionCalendar] = (),
    on_excluded: str = "suppress",
    p95_seconds: float | None = None,
    crowd: Callable[[datetime], int] | None = None,
) -> Preview:
    """The next `n` fires after a moment, at most 1,000, the schedule in words, and warnings for 13 months ahead.

    zone           of the timer; without it the schedule's own, or UTC
    start_at end_at max_fires   as the timer has them; max_fires: how many are left
    jitter_offset  how long after its instants the timer is due
    exclusions     calendars that hold, where `schedule` is not an Excluding already
    p95_seconds    how long 95 of 100 runs of the handler take at most
    crowd          how many other timers are due in the second of an instant
    """
    if zone is None:
        zone = schedule.zone if isinstance(schedule, (WallSchedule, Excluding)) else _UTC
    if exclusions and not isinstance(schedule, Excluding):
        schedule = Excluding(schedule, tuple(exclusions), on_excluded, zone)
    bounds = _Bounds(schedule, in_utc(after), start_at, end_at)
    most = min(n, _MOST) if max_fires is None else max(0, min(n, _MOST, max_fires))
    instants = tuple(_listed(bounds, zone, most))
    found = warnings_of(
        schedule,
        bounds.running() if most else iter(()),
        bounds.after,
        ended=not instants,
        p95_seconds=p95_seconds,
        crowd=crowd,
        due_after=jitter_offset,
    )
    words = schedule.describe()
    if jitter_offset:
        words = f"{words}, {jitter_offset.total_seconds():g} s later by its share of the jitter"
    return Preview(words, instants, tuple(found))


@dataclass(frozen=True, slots=True)
class _Bounds:
    """The instants of a schedule that lie after a moment and within what the timer allows."""

    schedule: Schedule
    after: datetime
    start_at: datetime | None
    end_at: datetime | None

    def following(self, instant: datetime | None = None) -> datetime | None:
        """The first instant of all, or the one after this one."""
        return self._allowed(self._first() if instant is None else self._next(instant))

    def running(self) -> Iterator[datetime]:
        """The instants that are to run."""
        instant = self._allowed(self._first())
        if isinstance(self.schedule, Excluding) and instant is not None and self.schedule.reason(instant) is not None:
            instant = self.to_run(instant)
        while instant is not None:
            yield instant
            instant = self.to_run(instant)

    def to_run(self, instant: datetime) -> datetime | None:
        """The first instant after this one that is to run."""
        if isinstance(self.schedule, Excluding) and not self._is_delay:
            return self._allowed(self.schedule.next_to_run(instant))
        return self._allowed(self._next(instant))

    def looked_until(self, instant: datetime) -> datetime:
        """Up to where excluded instants are counted when no instant after this one is to run."""
        excluded_until = None
        if isinstance(self.schedule, Excluding) and not self._is_delay:
            excluded_until = self.schedule.to_run(instant).excluded_until
        return instant + SEARCHED if excluded_until is None else min(instant + SEARCHED, excluded_until)

    def clipped(self, instant: datetime) -> datetime:
        """The instant, or the end when that comes before it."""
        return instant if self.end_at is None else min(instant, self.end_at)

    def _first(self) -> datetime | None:
        first = self.schedule.next_after(self.after)
        if self.start_at is not None and (first is None or first < self.start_at):
            return self.schedule.first(max(in_utc(self.start_at), self.after + _MICROSECOND))
        return first

    def _next(self, instant: datetime) -> datetime | None:
        # A delay counts from the end of a run, which is not known: only its first instant is.
        return None if self._is_delay else self.schedule.next_after(instant)

    def _allowed(self, instant: datetime | None) -> datetime | None:
        return None if instant is None or (self.end_at is not None and instant > self.end_at) else instant

    @property
    def _is_delay(self) -> bool:
        inner = self.schedule.schedule if isinstance(self.schedule, Excluding) else self.schedule
        return isinstance(inner, FixedDelay)


def _listed(bounds: _Bounds, zone: ZoneInfo, most: int) -> Iterator[Previewed]:
    schedule, ran = bounds.schedule, 0
    instant = bounds.following()
    while instant is not None and ran < most:
        reason = schedule.reason(instant)
        if reason is None:
            ran += 1
            yield Previewed(instant, _wall(instant, zone), _note(schedule, instant))
            instant = bounds.following(instant)
            continue
        running, looked_until = bounds.to_run(instant), bounds.looked_until(instant)
        last = running - _MICROSECOND if running is not None else bounds.clipped(looked_until)
        skipped = schedule.excluded(instant, last)
        more = 0 if skipped is None else skipped.count - 1
        if running is not None and more < _SKIPPED_ONE_BY_ONE:
            yield Previewed(instant, _wall(instant, zone), f"skipped: {reason}", runs=False)
            instant = bounds.following(instant)
            continue
        until = f"; so are {more:,} more until {_wall(skipped.latest, zone)}" if skipped is not None and more else ""
        yield Previewed(instant, _wall(instant, zone), f"skipped: {reason}{until}", runs=False)
        instant = running


def _note(schedule: Schedule, instant: datetime) -> str:
    if isinstance(schedule, Excluding):
        moved_from = schedule.moved_from(instant)
        if moved_from is not None:
            return f"moved from {_wall(moved_from, schedule.zone)}"
        schedule = schedule.schedule
    if not isinstance(schedule, WallSchedule):
        return ""
    local = instant.astimezone(schedule.zone)
    wall = schedule.wall_of(instant)
    if wall != local.replace(tzinfo=None, fold=0):
        return f"the end of the gap, for {wall:%H:%M:%S}, which is skipped"
    return "the second time that the clock shows it" if local.fold else ""


def _wall(instant: datetime, zone: ZoneInfo) -> str:
    local = instant.astimezone(zone)
    fraction = f".{local.microsecond:06}" if local.microsecond else ""
    return f"{local:%a %Y-%m-%d %H:%M:%S}{fraction} {local.isoformat()[-6:]}"
