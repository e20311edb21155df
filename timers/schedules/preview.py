"""Preview: the next fires of a schedule, its description, and warnings about surprising properties.

It calls next_after of the schedule that fires, so it shows what will fire.
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
    """One instant of the schedule: a fire, or a skipped one."""

    at: datetime
    """Instant in UTC, without the timer's jitter offset."""
    wall: str
    """Wall-clock time in the timer's zone: "Sun 2027-03-28 03:00:00 +02:00"."""
    note: str = ""
    """Special property: "for 02:30, which is skipped", "moved from ...", "skipped: excluded by ..."."""
    runs: bool = True


@dataclass(frozen=True, slots=True)
class Preview:
    """The next instants of a schedule, its description and warnings."""

    words: str
    instants: tuple[Previewed, ...]
    """The next fires in order, and the skipped instants between them."""
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
    """Return the next fires after a moment, a description of the schedule, and warnings for 13 months ahead.

    Args:
        schedule: The schedule.
        n: Number of fires, at most 1,000.
        after: The moment.
        zone: Zone of the timer; None: the schedule's own, or UTC.
        start_at: Start of the timer.
        end_at: End of the timer.
        max_fires: Number of fires that the timer has left.
        jitter_offset: Time by which the timer is due after its instants.
        exclusions: Calendars that apply, if `schedule` is not an Excluding already.
        on_excluded: What happens to excluded instants.
        p95_seconds: 95th percentile of the handler's run time.
        crowd: Returns the number of other timers that are due in the second of an instant.
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
    """Instants of a schedule that lie after a moment and within the timer's limits."""

    schedule: Schedule
    after: datetime
    start_at: datetime | None
    end_at: datetime | None

    def following(self, instant: datetime | None = None) -> datetime | None:
        """Return the first instant, or the one after the given instant."""
        return self._allowed(self._first() if instant is None else self._next(instant))

    def running(self) -> Iterator[datetime]:
        """Yield the instants that run."""
        instant = self._allowed(self._first())
        if isinstance(self.schedule, Excluding) and instant is not None and self.schedule.reason(instant) is not None:
            instant = self.to_run(instant)
        while instant is not None:
            yield instant
            instant = self.to_run(instant)

    def to_run(self, instant: datetime) -> datetime | None:
        """Return the first instant after this one that runs."""
        if isinstance(self.schedule, Excluding) and not self._is_delay:
            return self._allowed(self.schedule.next_to_run(instant))
        return self._allowed(self._next(instant))

    def looked_until(self, instant: datetime) -> datetime:
        """Return up to where excluded instants are counted if no instant after this one runs."""
        excluded_until = None
        if isinstance(self.schedule, Excluding) and not self._is_delay:
            excluded_until = self.schedule.to_run(instant).excluded_until
        return instant + SEARCHED if excluded_until is None else min(instant + SEARCHED, excluded_until)

    def clipped(self, instant: datetime) -> datetime:
        """Return the instant, or the end if that is earlier."""
        return instant if self.end_at is None else min(instant, self.end_at)

    def _first(self) -> datetime | None:
        first = self.schedule.next_after(self.after)
        if self.start_at is not None and (first is None or first < self.start_at):
            return self.schedule.first(max(in_utc(self.start_at), self.after + _MICROSECOND))
        return first

    def _next(self, instant: datetime) -> datetime | None:
        # A delay counts from the end of a run, which is unknown: only its first instant is known.
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
