"""Turn: a ready execution for which its timer does not wait yet must wait for its turn before it is claimed.

Manual, backfilled and replayed runs, manual retries, and retries that do not block their timer are outside of the
schedule's sequence. Unless the overlap policy is `allow`, such an execution becomes the timer's open one when it is
claimed; while another one is open, it is queued behind that. So a timer never has two open executions.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from timers.database import connection
from timers.domain.execution_id import execution_id, may_overlap, open_as
from timers.domain.policies import overridden
from timers.engine.arrays import plain_array, timestamp
from timers.engine.execution import ServedGroup
from timers.engine.siblings import still_open
from timers.exceptions import InvalidRequest
from timers.schedules.instant import to_microseconds

PAUSE_US: Final = 1_000_000
"""Delay in microseconds of a run of a one-shot whose own execution is in progress, until the next look."""

Row = dict[str, Any]
"""A locked row of waiting with columns of its timer, as claim reads it."""


@dataclass(slots=True)
class _Turns:
    """Decisions about rows that need a turn."""

    opened: dict[int, str] = field(default_factory=dict)
    """Timer -> the execution that is open from now on."""
    queued: list[Any] = field(default_factory=list)
    postponed: list[Any] = field(default_factory=list)
    left: set[Any] = field(default_factory=set)
    """All rows that must not be claimed now."""


def rows_in_turn(rows: list[Row], group: ServedGroup, now_us: int) -> list[Row]:
    """Return those of the locked ready rows that may be claimed; the others are queued, or left unchanged.

    They are left if another transaction has their timer locked, and if its schedule has a fire at the same time, which
    goes first. It waits for no lock: rows of waiting are already locked, and timers come first in the lock order.

    Args:
        rows: the locked rows.
        group: their group.
        now_us: the group's current instant in microseconds.
    """
    wanting = [row for row in rows if _needs_turn(row, group)]
    if not wanting:
        return rows
    timers = _lock_free({row["timer_id"] for row in wanting})
    busy = _under_way({row["timer_id"] for row in wanting if row["kind"] == "once"}, timers, group)
    turns = _Turns()
    for row in wanting:
        _decide(row, timers, busy, turns, now_us)
    _write(turns, now_us)
    return [row for row in rows if row["id"] not in turns.left]


def _needs_turn(row: Row, group: ServedGroup) -> bool:
    occurrence, is_open = open_as(str(row["id"])), row["open_execution"] is not None
    if is_open and str(row["open_execution"]) == occurrence:
        return False
    if row["origin"] == "schedule":
        recurs = row["until_committed"] or row["kind"] != "once"
        if not (row["attempt"] > 0 and recurs) and not (is_open and not recurs):
            return False
    elif may_overlap(str(row["id"])):
        return False
    policies = group.policies
    with suppress(InvalidRequest):
        if row["overrides"] is not None:
            policies = overridden(policies, row["overrides"])
    return policies.overlap_policy != "allow"


def _decide(row: Row, timers: dict[int, _Timer], busy: Collection[int], turns: _Turns, now_us: int) -> None:
    timer = timers.get(row["timer_id"])
    occurrence = open_as(str(row["id"]))
    if timer is None or (timer.open_execution is None and timer.fires_by(max(now_us, _available_us(row)))):
        turns.left.add(row["id"])
    elif timer.open_execution not in (None, occurrence):
        turns.queued.append(row["id"])
        turns.left.add(row["id"])
    elif timer.id in busy and row["origin"] != "schedule":
        turns.postponed.append(row["id"])
        turns.left.add(row["id"])
    else:
        timer.open_execution = turns.opened[timer.id] = occurrence
        row["open_execution"] = occurrence


@dataclass(slots=True)
class _Timer:
    id: int
    open_execution: str | None
    last_fire_at: datetime | None
    next_fire_at: datetime | None

    def fires_by(self, moment_us: int) -> bool:
        """Return whether its schedule has a fire up to that instant, which goes first."""
        return self.next_fire_at is not None and to_microseconds(self.next_fire_at) <= moment_us


def _available_us(row: Row) -> int:
    return to_microseconds(row["available_at"])


def _lock_free(ids: Collection[int]) -> dict[int, _Timer]:
    """Lock and return the timers that no other transaction has locked."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, open_execution::text, last_fire_at, CASE WHEN state = 'active' THEN next_fire_at END"
            " FROM timers_timer WHERE id = ANY(%s::bigint[])"
            " ORDER BY id FOR NO KEY UPDATE SKIP LOCKED",
            (plain_array(ids),),
        )
        return {row[0]: _Timer(*row) for row in cursor.fetchall()}


def _under_way(one_shots: Collection[int], timers: dict[int, _Timer], group: ServedGroup) -> set[int]:
    """Return the one-shots whose own execution has not ended, which the timer's row does not show."""
    ordinals = [each.ordinal for each in group.subscribers]
    fired = {
        execution_id(to_microseconds(timer.last_fire_at), timer.id): timer.id
        for timer in timers.values()
        if timer.id in one_shots and timer.last_fire_at is not None
    }
    return {fired[each] for each in still_open(dict.fromkeys(fired, ordinals), [group.id], ())}


def _write(turns: _Turns, now_us: int) -> None:
    with connection.cursor() as cursor:
        if turns.opened:
            cursor.execute(
                "UPDATE timers_timer t SET open_execution = u.execution"
                " FROM unnest(%s::bigint[], %s::uuid[]) AS u(id, execution) WHERE t.id = u.id",
                (plain_array(turns.opened), plain_array(turns.opened.values())),
            )
        if turns.queued:
            _set(cursor, "state = 'queued'", turns.queued)
        if turns.postponed:
            again = timestamp(str(now_us + PAUSE_US))
            _set(cursor, f"available_at = {again}", turns.postponed)


def _set(cursor: Any, change: str, ids: Sequence[Any]) -> None:
    cursor.execute(
        f"UPDATE timers_waiting SET {change}, changed_at = timers_now() WHERE id = ANY(%s::uuid[])",
        (plain_array(ids),),
    )
