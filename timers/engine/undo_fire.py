"""Undo a fire: an occurrence that was claimed ahead and has not started becomes due again, as if never claimed.

So a change after the claim has the same effect as one before it. Only the latest instants of a timer can be undone,
because its instants only rise. Nothing remains of the undone fire, because nothing was recorded of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

from timers.database import connection
from timers.domain.execution_id import execution_id, occurrence_of
from timers.domain.execution_id import parse as parse_id
from timers.engine.arrays import plain_array, timestamp
from timers.engine.fence import Held, let_go
from timers.engine.under_way import CalledBack, UnderWay
from timers.models import Timer
from timers.schedules.instant import from_microseconds, to_microseconds

Row = tuple[Timer, int, int]
"""A timer, the instant (microseconds) that becomes due again, and the number of undone fires."""


def undoable(timer: Timer, found: Sequence[UnderWay]) -> set[str]:
    """Return those of a locked timer's executions whose fires can be undone, if they have not started.

    `found` has all executions in progress of the timer. An occurrence with executions for several subscriptions is
    undone as a whole or not at all.
    """
    scheduled = [each for each in found if each.origin == "schedule"]
    broken = {occurrence_of(each.id) for each in scheduled if not each.is_first}
    begun_us = max((each.scheduled_us for each in scheduled if occurrence_of(each.id) in broken), default=0)
    latest = [each for each in scheduled if each.scheduled_us > begun_us]
    if not latest or not _is_latest(timer, max(each.scheduled_us for each in latest)):
        return set()
    opened = None if timer.open_execution is None else str(timer.open_execution)
    if opened is not None and opened not in {occurrence_of(each.id) for each in latest}:
        return set()
    return {each.id for each in latest}


def undo_fires(called_back: CalledBack, timers: Collection[Timer]) -> set[str]:
    """Undo the fires of recalled executions of these locked timers, as far as possible; return the undone ones.

    Takes the executions out of their claims and out of waiting, and writes the timers' rows; the timers' instances get
    the written values.
    """
    begun = [replace(each, is_first=False) for each in called_back.others]
    passed = _passed({occurrence_of(each.id) for each in called_back.unbegun if each.is_first})
    by_timer: dict[int, list[UnderWay]] = {}
    for each in (*called_back.unbegun, *begun):
        is_first = each.is_first and occurrence_of(each.id) not in passed
        by_timer.setdefault(each.timer_id, []).append(replace(each, is_first=is_first))
    undone: list[UnderWay] = []
    rows: list[Row] = []
    for timer in timers:
        own = by_timer.get(timer.id, [])
        ids = undoable(timer, own)
        of_timer = [each for each in own if each.id in ids]
        if of_timer:
            occurrences = {occurrence_of(each.id) for each in of_timer}
            rows.append((timer, min(each.scheduled_us for each in of_timer), len(occurrences)))
            undone += of_timer
    rows = _without_twins(rows)
    kept = {timer.id for timer, _, _ in rows}
    undone = [each for each in undone if each.timer_id in kept]
    if undone:
        _write(rows, _fires_before(rows, begun))
        take_out(called_back.held, undone)
    return {each.id for each in undone}


def take_out(held: Held, executions: Sequence[UnderWay]) -> None:
    """Take locked executions out of their claims and out of waiting.

    `held` has the executions of the claims, and is updated.
    """
    leaving: Held = {}
    for each in executions:
        if each.fence is not None:
            leaving.setdefault(each.fence, set()).add(each.id)
    let_go(held, leaving)
    for fence, gone in leaving.items():
        held[fence] -= gone
    waiting = [each.id for each in executions if each.fence is None]
    if waiting:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM timers_waiting WHERE id = ANY(%s::uuid[])", (plain_array(waiting),))


def _is_latest(timer: Timer, nominal_us: int) -> bool:
    """Whether that was the timer's latest fire, and only that fire has advanced the timer since."""
    if timer.state == Timer.State.CANCELLED or timer.last_fire_at is None:
        return False
    if to_microseconds(timer.last_fire_at) != nominal_us:
        return False
    if timer.next_fire_at is None:
        return True
    moves_at_fire = timer.schedule_kind not in ("once", "fixed_delay") and not timer.until_committed
    return moves_at_fire and timer.next_fire_at > timer.last_fire_at + timer.offset


def _passed(occurrences: Collection[str]) -> set[str]:
    """Return the occurrences from which on the ledger has rows of their timers.

    These rows are of another subscription's execution, or of later instants that were skipped meanwhile. Recorded
    instants do not become due again.
    """
    if not occurrences:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT o.id::text FROM unnest(%s::uuid[], %s::bigint[]) AS o(id, timer) WHERE EXISTS ("
            "SELECT 1 FROM timers_attempt a WHERE a.timer_id = o.timer AND a.id >= o.id AND a.origin = 'schedule')",
            (plain_array(occurrences), plain_array(parse_id(each).timer_id for each in occurrences)),
        )
        return {occurrence for (occurrence,) in cursor.fetchall()}


def _without_twins(rows: Sequence[Row]) -> list[Row]:
    """Leave out finished timers whose name another active or paused timer has got meanwhile: names are unique."""
    finished = [timer.id for timer, _, _ in rows if timer.state == Timer.State.FINISHED]
    if not finished:
        return list(rows)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT t.id FROM timers_timer t JOIN timers_timer o ON o.group_id = t.group_id AND o.name = t.name"
            " AND o.state IN ('active', 'paused') WHERE t.id = ANY(%s::bigint[])",
            (plain_array(finished),),
        )
        taken = {timer for (timer,) in cursor.fetchall()}
    return [row for row in rows if row[0].id not in taken]


_BEFORE: Final = """
SELECT t.id,
       (SELECT a.id::text FROM timers_attempt a
        WHERE a.timer_id = t.id AND a.id < t.before AND a.outcome <> 'skipped' AND a.origin = 'schedule'
        ORDER BY a.id DESC LIMIT 1),
       (SELECT w.id::text FROM timers_waiting w
        WHERE w.timer_id = t.id AND w.id < t.before AND w.origin = 'schedule' ORDER BY w.id DESC LIMIT 1)
FROM unnest(%s::bigint[], %s::uuid[]) AS t(id, before)
"""


def _fires_before(rows: Sequence[Row], begun: Sequence[UnderWay]) -> dict[int, int | None]:
    """Return the instant of each timer's latest remaining fire, as far as known; None: there is none."""
    befores = {timer.id: execution_id(at_us, timer.id) for timer, at_us, _ in rows}
    with connection.cursor() as cursor:
        cursor.execute(_BEFORE, (plain_array(befores), plain_array(befores.values())))
        known = {timer: [parse_id(each).scheduled_us for each in ids if each] for timer, *ids in cursor.fetchall()}
    for each in begun:
        if each.timer_id in known and each.origin == "schedule" and each.id < befores[each.timer_id]:
            known[each.timer_id].append(each.scheduled_us)
    return {timer: max(instants, default=None) for timer, instants in known.items()}


_WRITE: Final = f"""
UPDATE timers_timer t
SET next_fire_at = {timestamp("u.next_us")}, last_fire_at = {timestamp("u.last_us")}, fire_count = u.fires,
    state = u.state, open_execution = NULL
FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[]) AS u(id, next_us, last_us, fires, state)
WHERE t.id = u.id
"""


def _write(rows: Sequence[Row], before: Mapping[int, int | None]) -> None:
    for timer, at_us, fires in rows:
        last_us = before[timer.id]
        timer.next_fire_at = from_microseconds(at_us) + timer.offset
        timer.last_fire_at = None if last_us is None else from_microseconds(last_us)
        timer.fire_count = max(0, timer.fire_count - fires)
        timer.open_execution = None
        if timer.state == Timer.State.FINISHED:
            timer.state = Timer.State.ACTIVE
    timers = [timer for timer, _, _ in rows]
    with connection.cursor() as cursor:
        cursor.execute(
            _WRITE,
            (
                plain_array(timer.id for timer in timers),
                plain_array(to_microseconds(timer.next_fire_at) for timer in timers if timer.next_fire_at),
                plain_array(None if timer.last_fire_at is None else to_microseconds(timer.last_fire_at)
                            for timer in timers),
                plain_array(timer.fire_count for timer in timers),
                plain_array(timer.state for timer in timers),
            ),
        )  # fmt: skip
