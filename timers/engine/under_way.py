"""Under way: executions of timers that are claimed or ready, and which of them a change can still recall.

A change locks its timers first, so no fire adds executions; those that move between a claim and waiting meanwhile are
found by another look.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from timers.database import connection
from timers.domain.execution_id import parse as parse_id
from timers.engine.arrays import plain_array
from timers.engine.fence import Held, lock_claims
from timers.engine.recall import Process, recall

LOOKS: Final = 4
"""Number of looks: an execution may be released, and claimed by another worker, while it is recalled."""


@dataclass(frozen=True, slots=True)
class UnderWay:
    """An execution that is claimed, or ready to be claimed."""

    id: str
    group_id: int
    timer_id: int
    scheduled_us: int
    """Nominal instant, microseconds since 1970 UTC."""
    origin: str
    is_first: bool
    """Whether it is the first attempt of a scheduled fire without missed instants.

    Undoing such a fire loses nothing.
    """
    fence: int | None = None
    """The claim; None: it waits."""
    process: Process | None = None
    """The worker process of the claim; None: a consumer claimed it, and has received it, or it is not claimed."""


@dataclass(slots=True)
class CalledBack:
    """Executions that certainly have not started, locked in their place, and all others."""

    unbegun: list[UnderWay]
    held: Held
    """All executions of their (locked) claims."""
    others: list[UnderWay]
    """Executions that have started or may start, and those that were not to be recalled."""

    @property
    def in_flight(self) -> list[str]:
        """The others that are claimed: they run, or may."""
        return sorted(each.id for each in self.others if each.fence is not None)


# Bits 18 to 61 of an execution id are the id of its timer.
_TIMER_OF: Final = f"((('x' || right(replace(e.id::text, '-', ''), 16))::bit(64)::bigint >> 18) & {(1 << 44) - 1})"
_CLAIMED: Final = """
SELECT e.id::text, c.group_id, c.id, c.node_id, c.worker_pid, (c.details -> e.id::text)::text
FROM timers_claim c, unnest(c.executions) AS e(id)
WHERE {condition}
"""
_OF_TIMERS: Final = f"""
{_CLAIMED.format(condition=f"c.group_id = %(group)s AND {_TIMER_OF} = ANY(%(timers)s::bigint[])")}
UNION ALL
SELECT w.id::text, w.group_id, NULL, NULL, NULL,
       json_build_object('tried', w.attempt, 'missed_count', w.missed_count, 'step', w.step)::text
FROM timers_waiting w
WHERE w.timer_id = ANY(%(timers)s::bigint[]) AND w.state = 'ready'
"""
_OF_GROUPS: Final = _CLAIMED.format(condition="c.group_id = ANY(%(groups)s::bigint[])")


def under_way_of(group_id: int, timer_ids: Collection[int]) -> list[UnderWay]:
    """Return the executions in progress of (locked) timers of one group.

    It is one statement, so an execution that moves meanwhile is seen in one place.
    """
    return _read(_OF_TIMERS, group=group_id, timers=plain_array(timer_ids))


def claimed_of_groups(group_ids: Collection[int]) -> list[UnderWay]:
    """Return the claimed executions of (locked) groups."""
    return _read(_OF_GROUPS, groups=plain_array(group_ids))


def call_back(
    find: Callable[[], list[UnderWay]], choose: Callable[[Sequence[UnderWay]], Collection[str]]
) -> CalledBack:
    """Recall the chosen executions among those found, unless they have started.

    The claims and waiting rows of the executions returned as unbegun are locked; the caller moves them. Call it in a
    transaction that has locked the timers or the group.

    Args:
        find: reads the current state.
        choose: returns the ids of those to recall.
    """
    asked: set[tuple[str, int | None]] = set()
    held_back: set[tuple[str, int | None]] = set()
    for look in range(LOOKS):
        found = find()
        chosen = set(choose(found))
        new = [each for each in found if each.process and each.id in chosen and (each.id, each.fence) not in asked]
        may_have_moved = False
        if new:
            asked |= {(each.id, each.fence) for each in new}
            sure = recall(_by_process(new))
            held_back |= {(each.id, each.fence) for each in new if each.id in sure}
            # An execution that its worker does not have may have started, or is being released and is waiting by now.
            may_have_moved = not sure.issuperset(each.id for each in new)
        ours = [
            each for each in found
            if each.id in chosen and (each.fence is None or (each.id, each.fence) in held_back)
        ]  # fmt: skip
        held = lock_claims({each.fence for each in ours if each.fence is not None}).held
        waiting = lock_ready(each.id for each in ours if each.fence is None)
        unbegun = [
            each for each in ours
            if (each.id in waiting if each.fence is None else each.id in held.get(each.fence, ()))
        ]  # fmt: skip
        if (len(unbegun) == len(ours) and not may_have_moved) or look == LOOKS - 1:
            break
    kept = {each.id for each in unbegun}
    return CalledBack(unbegun, held, [each for each in found if each.id not in kept])


def _read(statement: str, **parameters: Any) -> list[UnderWay]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return [_under_way(*row) for row in cursor.fetchall()]


def _under_way(
    execution: str, group_id: int, fence: int | None, node: int | None, pid: int | None, details: str | None
) -> UnderWay:
    occurrence = parse_id(execution)
    said = json.loads(details) if details else {}
    is_plain = not said.get("tried") and not said.get("missed_count") and not said.get("step")
    is_first = occurrence.origin == "schedule" and is_plain and (fence is None or node is not None)
    process = None if node is None or pid is None else (node, pid)
    return UnderWay(
        execution, group_id, occurrence.timer_id, occurrence.scheduled_us, occurrence.origin, is_first, fence, process
    )


def _by_process(found: Iterable[UnderWay]) -> dict[Process, list[str]]:
    by_process: dict[Process, list[str]] = {}
    for each in found:
        if each.process is not None:
            by_process.setdefault(each.process, []).append(each.id)
    return by_process


def lock_ready(executions: Iterable[str]) -> set[str]:
    """Lock the ready executions among these; return their ids."""
    ids = plain_array(executions)
    if ids == "{}":
        return set()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id::text FROM timers_waiting WHERE id = ANY(%s::uuid[]) AND state = 'ready' ORDER BY id FOR UPDATE",
            (ids,),
        )
        return {execution for (execution,) in cursor.fetchall()}
