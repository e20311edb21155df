"""Follow: move recurring and until_committed timers on when their execution ends.

What follows is decided from the timer's row as it is now, under its lock, not from what it was when it fired: it may
have been edited, replaced or cancelled meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from timers.exceptions import SpecError
from timers.lifecycle.arrays import plain_array, timestamp
from timers.lifecycle.execution import Execution
from timers.lifecycle.outcome import Outcome, Verdict
from timers.schedules import parse_text as parse_schedule
from timers.schedules.instant import from_microseconds, to_microseconds


@dataclass(slots=True)
class LockedTimer:
    """The columns of a locked timer that the end of an execution may change, and those that say how."""

    id: int
    kind: str
    schedule: str
    time_zone: str
    until_committed: bool
    open_execution: str | None
    has_next: bool
    end_at: datetime | None
    fires_left: int | None
    state: str
    last_outcome: str
    failures_in_a_row: int
    next_us: int | None = None
    """A next instant that this end brings."""

    def end(self, execution: str, word: str, ended_us: int) -> None:
        """Its execution ended: `word` is succeeded, failed or cancelled.

        An execution that the timer no longer waits for (it was replaced, or overlaps are allowed) moves nothing.
        """
        self.last_outcome = word
        if word == "succeeded":
            self.failures_in_a_row = 0
        elif word == "failed":
            self.failures_in_a_row += 1
        if self.open_execution != execution:
            return
        self.open_execution = None
        if self.state not in ("active", "paused") or (self.has_next and not self.until_committed):
            return
        if not self.until_committed and (self.fires_left is None or self.fires_left > 0):
            self.next_us = self._instant_after(ended_us)
        if self.next_us is None:
            self.state = "finished"

    def _instant_after(self, moment_us: int) -> int | None:
        try:
            schedule = parse_schedule(self.kind, self.schedule, self.time_zone)
        except SpecError:
            return None
        following = schedule.next_after(from_microseconds(moment_us))
        if following is None or (self.end_at is not None and following > self.end_at):
            return None
        return to_microseconds(following)


_LOCK = """
SELECT id, schedule_kind, schedule::text, time_zone, until_committed, open_execution::text, next_fire_at IS NOT NULL,
       end_at, max_fires - fire_count, state, last_outcome, failures_in_a_row
FROM timers_timer WHERE id = ANY(%s::bigint[]) ORDER BY id FOR NO KEY UPDATE
"""


def lock_timers(ids: Iterable[int], *, skip_locked: bool = False) -> dict[int, LockedTimer]:
    """Lock timers before claims and waiting rows: the order of all locks."""
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_LOCK + (" SKIP LOCKED" if skip_locked else ""), (plain_array(wanted),))
        return {row[0]: LockedTimer(*row) for row in cursor.fetchall()}


def followed(executions: Iterable[Execution]) -> set[int]:
    """The timers whose rows move when these executions end."""
    return {execution.timer_id for execution in executions if execution.follows}


def busy_timers(wanted: set[int], locked: Iterable[int]) -> set[int]:
    """Those of the wanted timers that exist but are locked by someone else."""
    missing = wanted.difference(locked)
    if not missing:
        return set()
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM timers_timer WHERE id = ANY(%s::bigint[])", (plain_array(missing),))
        return {timer_id for (timer_id,) in cursor.fetchall()}


def follow_timers(verdicts: Sequence[tuple[Outcome, Verdict]], timers: dict[int, LockedTimer]) -> None:
    """Open the way for the next fire of each locked timer whose execution ended."""
    moved: dict[int, LockedTimer] = {}
    for outcome, verdict in verdicts:
        execution = outcome.execution
        timer = timers.get(execution.timer_id)
        if execution.follows and verdict.next != "again" and timer is not None:
            timer.end(execution.id, "succeeded" if verdict.next == "end" else "failed", outcome.finished_us)
            moved[timer.id] = timer
    write_moved(moved.values())


_MOVE = f"""
UPDATE timers_timer t
SET open_execution = u.open_execution, last_outcome = u.last_outcome, failures_in_a_row = u.failures, state = u.state,
    next_fire_at = COALESCE({timestamp("u.next_us")}, t.next_fire_at)
FROM unnest(%s::bigint[], %s::uuid[], %s::text[], %s::int[], %s::text[], %s::bigint[])
     AS u(id, open_execution, last_outcome, failures, state, next_us)
WHERE t.id = u.id
"""


def write_moved(timers: Iterable[LockedTimer]) -> None:
    """Write locked timers back, in one update."""
    rows = list(timers)
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(
                _MOVE,
                (
                    plain_array(row.id for row in rows),
                    plain_array(row.open_execution for row in rows),
                    plain_array(row.last_outcome or '""' for row in rows),
                    plain_array(row.failures_in_a_row for row in rows),
                    plain_array(row.state for row in rows),
                    plain_array(row.next_us for row in rows),
                ),
            )
