"""Recompute: set next instants again after a change of what they depend on, other than the timer itself.

That is: new time zone rules, or an edited exclusion calendar. What is due already fires as it was. An instant that was
fired, or skipped on demand, is not repeated: the row's last fire and the ledger record it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import Final

from django.db.models import QuerySet

from timers import clock
from timers.database import connection, transaction
from timers.domain.execution_id import execution_id
from timers.engine.arrays import plain_array, timestamp
from timers.engine.group_clock import GroupClock
from timers.engine.wakeup import wake_if_soon
from timers.models import Attempt, Timer, TimerGroup
from timers.models.calendars import read_calendars, schedule_of
from timers.schedules.instant import to_microseconds

BATCH: Final = 500
"""Number of timers whose rows are locked at once."""
COMPUTED_LOCKED: Final = 100
"""How many of these may have changed since their instants were computed: they are recomputed while locked."""
NAMES: Final = 5
"""Maximum number of moved timers that are named."""
_NEEDED: Final = (
    "name", "schedule_kind", "schedule", "time_zone", "start_at", "end_at", "jitter", "overrides", "state",
    "next_fire_at", "last_fire_at", "open_execution", "version",
)  # fmt: skip

_LOCK: Final = """
SELECT count(*) FROM (
    SELECT 1 FROM timers_timer WHERE id = ANY(%s::bigint[]) ORDER BY id FOR NO KEY UPDATE) locked
"""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Recomputed:
    """Result of a recompute."""

    seen: int = 0
    moved: int = 0
    names: list[str] = field(default_factory=list)
    """The first few that moved, as group/name."""

    @property
    def words(self) -> str:
        """The result as text: 12 of 3,400 timers moved (a/x, a/y, ...)."""
        more = ", ..." if self.moved > len(self.names) else ""
        named = f" ({', '.join(self.names)}{more})" if self.names else ""
        return f"{self.moved:,} of {self.seen:,} timers moved{named}"


def recompute(timers: QuerySet[Timer], *, batch: int = BATCH) -> Recomputed:
    """Compute the next instants of these timers again and write those that differ, batch by batch.

    Timers that have ended, that are due, or that wait for the end of their execution are left unchanged; so are those
    whose schedule cannot be read, and fixed delays. A timer without a next instant is finished.
    """
    return write_instants(new_instants(timers), batch=batch)


@dataclass(frozen=True, slots=True)
class NewInstant:
    """When a timer is due by the current rules, and what that was computed from."""

    group: str
    name: str
    at: datetime | None
    version: int
    next_fire_at: datetime


@dataclass(slots=True)
class NewInstants:
    """Results that were computed without a lock."""

    seen: int = 0
    moved: dict[int, list[tuple[int, NewInstant]]] = field(default_factory=dict)
    """By the ids of their groups: the ids of the timers that move, and their new instants."""

    def lock(self, others: Collection[int]) -> None:
        """Lock the timers that move, and others, before claims as the lock order requires.

        For a transaction that recalls claims between computing and writing.
        """
        ids = {*others, *(timer for moved in self.moved.values() for timer, _ in moved)}
        if ids:
            with connection.cursor() as cursor:
                cursor.execute(_LOCK, (plain_array(ids),))


def new_instants(timers: QuerySet[Timer]) -> NewInstants:
    """Compute the next instants of these timers again; no row is locked, and nothing is written."""
    found = NewInstants()
    living = timers.filter(state__in=(Timer.State.ACTIVE, Timer.State.PAUSED), next_fire_at__isnull=False)
    living = living.exclude(schedule_kind="fixed_delay")
    for group in TimerGroup.objects.filter(id__in=living.order_by().values("group_id").distinct()):
        computing = _Computing(group)
        after = ""
        while rows := list(living.filter(group_id=group.id, name__gt=after).order_by("name").only(*_NEEDED)[:BATCH]):
            found.seen += len(rows)
            found.moved.setdefault(group.id, []).extend(computing.moved(rows))
            after = rows[-1].name
    return found


def write_instants(computed: NewInstants, *, batch: int = BATCH) -> Recomputed:
    """Write the instants in batches, each in its own transaction; timers that changed meanwhile are computed again."""
    done = Recomputed(seen=computed.seen)
    for group in TimerGroup.objects.filter(id__in=list(computed.moved)).order_by("id"):
        left = sorted(computed.moved[group.id], key=itemgetter(0))
        computing = _Computing(group)
        while left:
            part, left = dict(left[:batch]), left[batch:]
            with transaction.atomic():
                # By rising id, as everywhere, so that there is no deadlock.
                rows = (
                    Timer.objects.filter(
                        id__in=list(part),
                        state__in=(Timer.State.ACTIVE, Timer.State.PAUSED),
                        next_fire_at__isnull=False,
                    )
                    .order_by("id")
                    .only(*_NEEDED)
                )
                left += computing.write(list(rows.select_for_update(no_key=True, of=("self",))), part, done)
    return done


class _Computing:
    """Computes instants of the timers of one group."""

    def __init__(self, group: TimerGroup) -> None:
        self._group = group
        self._calendars = read_calendars()

    def moved(self, rows: list[Timer]) -> list[tuple[int, NewInstant]]:
        """Return those of the rows that move, and their new instants."""
        now = self._now()
        found = []
        for row in rows:
            # An instant that has come fires as it was, even while it still waits for its jitter.
            if row.next_fire_at is None or row.next_fire_at - row.offset <= now:
                continue
            try:
                at = self._next(row, now)
            except Exception:
                logger.exception("the next fire of timer %s/%s cannot be computed", self._group.name, row.name)
                continue
            if at != row.next_fire_at:
                found.append((row.id, NewInstant(self._group.name, row.name, at, row.version, row.next_fire_at)))
        return found

    def write(
        self, rows: list[Timer], computed: dict[int, NewInstant], done: Recomputed
    ) -> list[tuple[int, NewInstant]]:
        """Write the instants of these locked rows; return those that are left because too many have changed.

        Args:
            rows: the locked rows.
            computed: the new instants by timer.
            done: the result, which is updated.
        """
        now = self._now()
        moved: dict[int, datetime | None] = {}
        changed: list[Timer] = []
        for row in rows:
            known = computed[row.id]
            if (row.version, row.next_fire_at) != (known.version, known.next_fire_at):
                changed.append(row)
            elif row.next_fire_at is not None and row.next_fire_at - row.offset > now:
                moved[row.id] = known.at
        moved |= {timer: new.at for timer, new in self.moved(changed[:COMPUTED_LOCKED])}
        for row in rows:
            if row.id in moved:
                done.moved += 1
                if len(done.names) < NAMES:
                    done.names.append(f"{self._group.name}/{row.name}")
        if moved:
            _write(list(moved.items()))
            wake_if_soon([at for at in moved.values() if at is not None], now)
        return [(row.id, computed[row.id]) for row in changed[COMPUTED_LOCKED:]]

    def _now(self) -> datetime:
        return GroupClock.of(self._group).moment(clock.now())

    def _next(self, row: Timer, now: datetime) -> datetime | None:
        """Return when the timer is due by the current rules; None: never again."""
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
    """Return whether the ledger has the final row of that occurrence: it ran, or was skipped on demand."""
    return bool(done_among([(timer_id, nominal)]))


def done_among(occurrences: Sequence[tuple[int, datetime]]) -> set[int]:
    """Return the timers of those occurrences (timer, nominal instant) that have a final row in the ledger."""
    ids = {execution_id(to_microseconds(nominal), timer_id): timer_id for timer_id, nominal in occurrences}
    found = Attempt.objects.filter(id__in=list(ids)).values_list("id", flat=True) if ids else ()
    return {ids[str(row)] for row in found}


def _write(moved: list[tuple[int, datetime | None]]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE timers_timer t SET next_fire_at = {timestamp('u.at_us')},"
            " state = CASE WHEN u.at_us IS NULL THEN 'finished' ELSE t.state END,"
            " state_reason = CASE WHEN u.at_us IS NULL THEN '' ELSE t.state_reason END,"
            " paused_until = CASE WHEN u.at_us IS NULL THEN NULL ELSE t.paused_until END"
            " FROM unnest(%s::bigint[], %s::bigint[]) AS u(id, at_us) WHERE t.id = u.id",
            (
                plain_array(timer for timer, _ in moved),
                plain_array(None if at is None else to_microseconds(at) for _, at in moved),
            ),
        )
