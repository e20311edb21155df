"""Recompute: set next instants anew after what they are computed from has changed, other than the timer itself.

That is: new time zone rules, an exclusion calendar that was edited. What is due already fires as it was. An instant
that was fired, or left out on demand, is not brought back: the row's last fire and the ledger say which those are.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from django.db import connection, transaction
from django.db.models import QuerySet

from timers import clock
from timers.execution_id import execution_id
from timers.lifecycle.arrays import plain_array, timestamp
from timers.lifecycle.group_clock import GroupClock
from timers.lifecycle.wakeup import wake_if_soon
from timers.models import Attempt, Timer, TimerGroup
from timers.models.calendars import read_calendars, schedule_of
from timers.schedules.instant import to_microseconds

BATCH: Final = 500
"""Timers whose rows are locked at once."""
NAMES: Final = 5
"""Moved timers that are named."""
_NEEDED: Final = (
    "name", "schedule_kind", "schedule", "time_zone", "start_at", "end_at", "jitter", "overrides", "state",
    "next_fire_at", "last_fire_at", "open_execution",
)  # fmt: skip

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Recomputed:
    """What a recompute did."""

    seen: int = 0
    moved: int = 0
    names: list[str] = field(default_factory=list)
    """The first few that moved, as group/name."""

    @property
    def words(self) -> str:
        """12 of 3,400 timers moved (a/x, a/y, ...)."""
        more = ", ..." if self.moved > len(self.names) else ""
        named = f" ({', '.join(self.names)}{more})" if self.names else ""
        return f"{self.moved:,} of {self.seen:,} timers moved{named}"


def recompute(timers: QuerySet[Timer], *, batch: int = BATCH) -> Recomputed:
    """Compute the next instants of these timers anew, batch by batch, each in a transaction of its own.

    Timers that have ended, that are due, or that wait for the end of their execution are left as they are; so are those
    whose schedule cannot be read, and fixed delays. A timer that has no instant left is finished.
    """
    done = Recomputed()
    living = timers.filter(state__in=(Timer.State.ACTIVE, Timer.State.PAUSED), next_fire_at__isnull=False)
    living = living.exclude(schedule_kind="fixed_delay")
    for group in TimerGroup.objects.filter(id__in=living.order_by().values("group_id").distinct()):
        recomputing = _Recomputing(group, done)
        after = ""
        while True:
            with transaction.atomic():
                # By name, as create_timers locks: neither waits for the other in a circle.
                rows = living.filter(group_id=group.id, name__gt=after).order_by("name").only(*_NEEDED)
                found = list(rows.select_for_update(no_key=True, of=("self",))[:batch])
                if not found:
                    break
                recomputing.move(found)
            after = found[-1].name
    return done


class _Recomputing:
    """The timers of one group."""

    def __init__(self, group: TimerGroup, done: Recomputed) -> None:
        self._group = group
        self._done = done
        self._calendars = read_calendars()

    def move(self, rows: list[Timer]) -> None:
        """Write the instants of those that move."""
        now = GroupClock.of(self._group).moment(clock.now())
        moved: list[tuple[int, datetime | None]] = []
        for row in rows:
            self._done.seen += 1
            # An instant that has come fires as it was, also where it still waits for its share of the jitter.
            if row.next_fire_at is None or row.next_fire_at - row.offset <= now:
                continue
            try:
                at = self._next(row, now)
            except Exception:
                logger.exception("the next fire of timer %s/%s cannot be computed", self._group.name, row.name)
                continue
            if at != row.next_fire_at:
                moved.append((row.id, at))
                self._done.moved += 1
                if len(self._done.names) < NAMES:
                    self._done.names.append(f"{self._group.name}/{row.name}")
        if moved:
            _write(moved)
            wake_if_soon([at for _, at in moved if at is not None], now)

    def _next(self, row: Timer, now: datetime) -> datetime | None:
        """When the timer is due by the rules as they are now; None: never again."""
        row.group = self._group
        schedule, offset = schedule_of(row, self._calendars), row.offset
        nominal = schedule.first(now if row.start_at is None else max(now, row.start_at))
        if nominal is not None and row.last_fire_at is not None and nominal <= row.last_fire_at:
            nominal = schedule.next_after(row.last_fire_at)
        while nominal is not None and nominal + offset != row.next_fire_at and is_done(row.id, nominal):
            nominal = schedule.next_after(nominal)
        if nominal is None or (row.end_at is not None and nominal > row.end_at):
            return None
        return nominal + offset


def is_done(timer_id: int, nominal: datetime) -> bool:
    """Whether the ledger has the final row of that occurrence: it ran, or was left out on demand."""
    return bool(done_among([(timer_id, nominal)]))


def done_among(occurrences: Sequence[tuple[int, datetime]]) -> set[int]:
    """The timers of those occurrences (timer, nominal instant) that the ledger has the final row of."""
    ids = {execution_id(to_microseconds(nominal), timer_id): timer_id for timer_id, nominal in occurrences}
    found = Attempt.objects.filter(id__in=list(ids)).values_list("id", flat=True) if ids else ()
    return {ids[str(row)] for row in found}


def _write(moved: list[tuple[int, datetime | None]]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE timers_timer t SET next_fire_at = {timestamp('u.at_us')},"
            " state = CASE WHEN u.at_us IS NULL THEN 'finished' ELSE t.state END"
            " FROM unnest(%s::bigint[], %s::bigint[]) AS u(id, at_us) WHERE t.id = u.id",
            (
                plain_array(timer for timer, _ in moved),
                plain_array(None if at is None else to_microseconds(at) for _, at in moved),
            ),
        )
