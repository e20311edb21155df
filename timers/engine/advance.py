"""Advance recurring and until_committed timers when their execution ends.

The next instant is computed from the timer's row as it is now, under its lock, not from the row at the fire: the timer
may have been edited, replaced or cancelled meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from timers.database import connection
from timers.domain.execution_id import open_as
from timers.domain.execution_id import parse as parse_id
from timers.engine.arrays import plain_array, text_array, timestamp
from timers.engine.execution import Execution
from timers.engine.outcome import Outcome, Verdict
from timers.engine.queued import promote
from timers.engine.siblings import ordinals_of, still_open
from timers.engine.wakeup import wake_if_soon
from timers.exceptions import InvalidRequest
from timers.schedules import parse_text as parse_schedule
from timers.schedules.instant import from_microseconds, to_microseconds
from timers.schedules.jitter import jitter_offset_us


@dataclass(slots=True)
class LockedTimer:
    """Columns of a locked timer: those that an execution's end may change, and those that it depends on."""

    id: int
    name: str
    kind: str
    schedule: str
    time_zone: str
    jitter: float
    until_committed: bool
    open_execution: str | None
    has_next: bool
    end_at: datetime | None
    fires_left: int | None
    state: str
    state_reason: str
    last_outcome: str
    failures_in_a_row: int
    next_us: int | None = None
    """The next instant that this end sets."""
    free_us: int | None = None
    """When its open execution ended."""
    backfills: bool = False
    """Whether it takes up the next execution of a backfill if nothing else is queued."""

    def end(
        self,
        execution: str,
        word: str,
        ended_us: int,
        pause_after_failures: int = 0,
        pauses: str = "",
        *,
        is_last: bool = True,
    ) -> None:
        """Record the end of one of its executions.

        An execution that the timer does not wait for (it was replaced, or overlaps are allowed) does not advance it.

        Args:
            execution: the id of the execution.
            word: succeeded, failed, cancelled or skipped.
            ended_us: when it ended, in microseconds since 1970 UTC.
            pause_after_failures: failed executions in a row after which the timer pauses itself; 0: never.
            pauses: why this end alone pauses the timer; empty: it does not.
            is_last: no other execution of the same occurrence, for another subscription, is left.
        """
        if word != "skipped":
            self.last_outcome = word
        if word == "succeeded":
            self.failures_in_a_row = 0
        elif word == "failed":
            self.failures_in_a_row += 1
            if self.state == "active" and 0 < pause_after_failures <= self.failures_in_a_row:
                self.state = "paused"
                failed = "executions in a row" if self.failures_in_a_row > 1 else "execution"
                self.state_reason = f"paused itself: {self.failures_in_a_row} {failed} failed"
            if self.state == "active" and pauses:
                self.state, self.state_reason = "paused", f"paused itself: {pauses}"
        if is_last and self.free(execution, ended_us) and not self.has_next:
            self._move_on(ended_us, is_over=self.until_committed)

    def free(self, execution: str, ended_us: int) -> bool:
        """Stop waiting for this execution; return whether the timer waited for it."""
        if self.open_execution != open_as(execution):
            return False
        self.open_execution, self.free_us, self.backfills = None, ended_us, True
        return True

    def move_on_if_stranded(self) -> None:
        """Compute a next instant where nothing else sets one: the ended execution was no fire of the schedule."""
        if self.open_execution is None and self.free_us is not None and not self.has_next and self.next_us is None:
            self._move_on(self.free_us, is_over=False)

    def _move_on(self, ended_us: int, *, is_over: bool) -> None:
        if self.state not in ("active", "paused"):
            return
        if not is_over and (self.fires_left is None or self.fires_left > 0):
            self.next_us = self._instant_after(ended_us)
        if self.next_us is None:
            # state_reason explains a pause, so it is cleared.
            self.state, self.state_reason = "finished", ""

    def _instant_after(self, moment_us: int) -> int | None:
        try:
            schedule = parse_schedule(self.kind, self.schedule, self.time_zone)
        except InvalidRequest:
            return None
        following = schedule.next_after(from_microseconds(moment_us))
        if following is None or (self.end_at is not None and following > self.end_at):
            return None
        return to_microseconds(following) + jitter_offset_us(self.name, self.jitter)


_LOCK = """
SELECT id, name, schedule_kind, schedule::text, time_zone, jitter, until_committed, open_execution::text,
       next_fire_at IS NOT NULL, end_at, max_fires - fire_count, state, state_reason, last_outcome, failures_in_a_row
FROM timers_timer WHERE id = ANY(%s::bigint[]) ORDER BY id FOR NO KEY UPDATE
"""


def lock_timers(ids: Iterable[int], *, skip_locked: bool = False) -> dict[int, LockedTimer]:
    """Lock timers, before claims and waiting rows as the lock order requires."""
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_LOCK + (" SKIP LOCKED" if skip_locked else ""), (plain_array(wanted),))
        return {row[0]: LockedTimer(*row) for row in cursor.fetchall()}


def followed(executions: Iterable[Execution]) -> set[int]:
    """Return the timers whose rows or queues change when these executions end."""
    return {execution.timer_id for execution in executions if execution.follows or execution.origin == "backfill"}


def busy_timers(wanted: set[int], locked: Iterable[int]) -> set[int]:
    """Return those of the wanted timers that exist but are locked by another transaction."""
    missing = wanted.difference(locked)
    if not missing:
        return set()
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM timers_timer WHERE id = ANY(%s::bigint[])", (plain_array(missing),))
        return {timer_id for (timer_id,) in cursor.fetchall()}


_WORDS: Final = {"end": "succeeded", "park": "failed", "drop": "failed", "cancel": "cancelled"}


def follow_timers(verdicts: Sequence[tuple[Outcome, Verdict]], timers: dict[int, LockedTimer], now_us: int) -> None:
    """Advance each locked timer whose execution ended, so that it can fire again.

    Args:
        verdicts: outcomes with their verdicts.
        timers: the locked timers by id.
        now_us: microseconds by the database clock.
    """
    moved: dict[int, LockedTimer] = {}
    others = _left_open(verdicts, timers)
    for outcome, verdict in verdicts:
        execution = outcome.execution
        timer = timers.get(execution.timer_id)
        if timer is None or not _lets_go(execution, verdict, timer):
            continue
        if execution.follows:
            ended_us = execution.group.clock.at(outcome.finished_us)
            is_last = not others or open_as(execution.id) not in others
            if verdict.next != "again" and execution.origin == "schedule":
                most = execution.policies.pause_after_failures
                # A receiver that is gone pauses its subscription, not the timer (finish.py).
                pauses = "" if execution.subscription else outcome.pauses
                timer.end(execution.id, _WORDS[verdict.next], ended_us, most, pauses, is_last=is_last)
            elif is_last:
                timer.free(execution.id, ended_us)
            moved[timer.id] = timer
        elif execution.origin == "backfill":
            _take_up_backfill(timer, moved)
    _write_moved(moved.values(), now_us)


def _lets_go(execution: Execution, verdict: Verdict, timer: LockedTimer) -> bool:
    """Whether the timer may advance: the execution ended, or waits for a retry that does not block the timer."""
    if verdict.next != "again":
        return True
    if execution.step:
        return False  # the order continues
    waits_for_end = timer.until_committed or timer.kind == "fixed_delay"
    return execution.follows and not execution.policies.retry_blocks and not waits_for_end


def _take_up_backfill(timer: LockedTimer, moved: dict[int, LockedTimer]) -> None:
    """Take up the next execution of a backfill when one ended that the timer did not wait for.

    If another execution of the timer is open, that one takes it up at its end.
    """
    if timer.open_execution is None:
        timer.backfills = True
        moved[timer.id] = timer


def _left_open(verdicts: Sequence[tuple[Outcome, Verdict]], timers: Mapping[int, LockedTimer]) -> set[str]:
    """Return occurrences that executions of this batch ended for one subscription but not for another."""
    ending = [
        outcome.execution
        for outcome, verdict in verdicts
        if outcome.execution.group.subscribers
        and outcome.execution.follows
        and (timer := timers.get(outcome.execution.timer_id)) is not None
        and _is_awaited(timer, outcome.execution.id)
        and _lets_go(outcome.execution, verdict, timer)
    ]
    occurrences = {
        open_as(execution.id): [each.ordinal for each in execution.group.subscribers] for execution in ending
    }
    groups = {execution.group.id for execution in ending}
    return still_open(occurrences, groups, {execution.id for execution in ending})


def _is_awaited(timer: LockedTimer | None, execution: str) -> bool:
    return timer is not None and timer.open_execution == open_as(execution)


Ended = tuple[str, int, datetime, int]
"""An execution that ended while it waited: id, timer, end by the group's clock, group."""


def end_locked(timers: dict[int, LockedTimer], ended: Sequence[Ended], word: str, now_us: int) -> None:
    """Advance the locked timers of executions that ended while they waited.

    Args:
        timers: the locked timers by id.
        ended: the executions.
        word: succeeded (only an order), failed, cancelled or skipped.
        now_us: microseconds since 1970 UTC, by the database clock.
    """
    moved: dict[int, LockedTimer] = {}
    awaited = [each for each in ended if _is_awaited(timers.get(each[1]), each[0])]
    ordinals = ordinals_of({group_id for *_, group_id in awaited}) if awaited else {}
    others = still_open(
        {open_as(each[0]): ordinals[each[3]] for each in awaited if each[3] in ordinals},
        ordinals,
        {each[0] for each in awaited},
    )
    for execution, timer_id, ended_at, _ in ended:
        timer = timers.get(timer_id)
        if timer is None:
            continue
        origin = parse_id(execution).origin
        if timer.open_execution == open_as(execution):
            is_last = timer.open_execution not in others
            ended_us = to_microseconds(ended_at)
            if origin == "schedule":
                timer.end(execution, word, ended_us, is_last=is_last)
            elif is_last:
                timer.free(execution, ended_us)
            moved[timer.id] = timer
        elif origin == "backfill":
            _take_up_backfill(timer, moved)
    _write_moved(moved.values(), now_us)
    # A worker finds the consequences of its own executions without a notification; here there is no such worker.
    wake_if_soon([from_microseconds(row.next_us) for row in moved.values() if row.next_us], from_microseconds(now_us))


_MOVE = f"""
UPDATE timers_timer t
SET open_execution = u.open_execution, last_outcome = u.last_outcome, failures_in_a_row = u.failures, state = u.state,
    state_reason = u.state_reason, paused_until = CASE WHEN u.state <> 'finished' THEN t.paused_until END,
    next_fire_at = COALESCE({timestamp("u.next_us")}, t.next_fire_at),
    free_since = COALESCE({timestamp("u.free_us")}, t.free_since)
FROM unnest(%s::bigint[], %s::uuid[], %s::text[], %s::int[], %s::text[], %s::text[], %s::bigint[], %s::bigint[])
     AS u(id, open_execution, last_outcome, failures, state, state_reason, next_us, free_us)
WHERE t.id = u.id
"""


def _write_moved(timers: Iterable[LockedTimer], now_us: int) -> None:
    """Write locked timers back in one update; those without an open execution take up the next one of their queue."""
    rows = list(timers)
    if not rows:
        return
    free = [row for row in rows if row.open_execution is None]
    promoted = promote((row.id for row in free), now_us, [row.id for row in free if row.backfills])
    for row in free:
        row.open_execution = promoted.open.get(row.id)
        row.move_on_if_stranded()
    with connection.cursor() as cursor:
        cursor.execute(
            _MOVE,
            (
                plain_array(row.id for row in rows),
                plain_array(row.open_execution for row in rows),
                plain_array(row.last_outcome or '""' for row in rows),
                plain_array(row.failures_in_a_row for row in rows),
                plain_array(row.state for row in rows),
                text_array(row.state_reason for row in rows),
                plain_array(row.next_us for row in rows),
                plain_array(row.free_us for row in rows),
            ),
        )
    if promoted.executions:
        now = from_microseconds(now_us)
        wake_if_soon([now], now)
