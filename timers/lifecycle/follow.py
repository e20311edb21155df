"""Follow: move recurring and until_committed timers on when their execution ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import connection

from timers.lifecycle.arrays import plain_array, timestamp
from timers.lifecycle.execution import Execution
from timers.lifecycle.outcome import Outcome, Verdict


def lock_timers(executions: Iterable[Execution]) -> None:
    """Lock the timers that will follow, before their claims: the order of all locks."""
    ids = sorted({execution.timer_id for execution in executions if execution.follows})
    if ids:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT id FROM timers_timer WHERE id = ANY(%s::bigint[]) ORDER BY id FOR NO KEY UPDATE",
                (plain_array(ids),),
            )


@dataclass(slots=True)
class _Followed:
    """What one batch means for one timer."""

    ended: str | None = None
    outcome: str = ""
    reset: bool = False
    failures: int = 0
    next_us: int | None = None
    finish: bool = False


_FOLLOW = f"""
UPDATE timers_timer t
SET open_execution = CASE WHEN t.open_execution = u.ended THEN NULL ELSE t.open_execution END,
    last_outcome = CASE WHEN u.outcome = '' THEN t.last_outcome ELSE u.outcome END,
    failures_in_a_row = CASE WHEN u.reset THEN 0 ELSE t.failures_in_a_row END + u.failures,
    next_fire_at = CASE WHEN u.next_us IS NULL THEN t.next_fire_at
                        WHEN {timestamp("u.next_us")} > COALESCE(t.end_at, 'infinity') THEN NULL
                        WHEN t.fire_count >= t.max_fires THEN NULL
                        ELSE {timestamp("u.next_us")} END,
    state = CASE WHEN t.state IN ('active', 'paused')
                      AND (u.finish OR u.next_us IS NOT NULL
                           AND ({timestamp("u.next_us")} > COALESCE(t.end_at, 'infinity')
                                OR t.fire_count >= t.max_fires))
                 THEN 'finished' ELSE t.state END
FROM unnest(%s::bigint[], %s::uuid[], %s::text[], %s::bool[], %s::int[], %s::bigint[], %s::bool[])
     AS u(id, ended, outcome, reset, failures, next_us, finish)
WHERE t.id = u.id
"""


def follow_timers(verdicts: Sequence[tuple[Outcome, Verdict]]) -> None:
    """Open the way for the next fire of each timer whose execution ended, in one update."""
    followed: dict[int, _Followed] = {}
    for outcome, verdict in verdicts:
        execution = outcome.execution
        if execution.follows and verdict.next != "again":
            _add(followed.setdefault(execution.timer_id, _Followed()), outcome, verdict)
    if not followed:
        return
    rows = followed.values()
    with connection.cursor() as cursor:
        cursor.execute(
            _FOLLOW,
            (
                plain_array(followed),
                plain_array(row.ended for row in rows),
                plain_array(row.outcome or '""' for row in rows),
                plain_array(row.reset for row in rows),
                plain_array(row.failures for row in rows),
                plain_array(row.next_us for row in rows),
                plain_array(row.finish for row in rows),
            ),
        )


def _add(row: _Followed, outcome: Outcome, verdict: Verdict) -> None:
    execution = outcome.execution
    row.ended = execution.id
    row.outcome = "succeeded" if verdict.next == "end" else "failed"
    if verdict.next == "end":
        row.reset, row.failures = True, 0
    else:
        row.failures += 1
    if execution.until_committed:
        row.finish = True
    elif execution.schedule_kind == "fixed_delay":
        row.next_us = execution.instant_after(outcome.finished_us)
