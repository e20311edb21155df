"""Moved: the state of timers after their decision, and the statements that write it."""

from __future__ import annotations

from dataclasses import dataclass

from timers.database import connection
from timers.engine.arrays import plain_array, timestamp


@dataclass(slots=True)
class Moved:
    """The state of a timer after its decision; each field is a column of the update."""

    id: int
    next_us: int | None
    fired_us: int | None
    fires: int
    state: str
    open_execution: str | None
    reason: str = ""


def finish_one_shots(ids: list[int]) -> None:
    """Finish one-shots that were fired."""
    if ids:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE timers_timer SET state = 'finished', last_fire_at = next_fire_at, next_fire_at = NULL,"
                " fire_count = fire_count + 1 WHERE id = ANY(%s::bigint[])",
                (plain_array(ids),),
            )


_MOVE_ON = f"""
UPDATE timers_timer t
SET next_fire_at = {timestamp("u.next_us")}, last_fire_at = COALESCE({timestamp("u.fired_us")}, t.last_fire_at),
    fire_count = t.fire_count + u.fires, state = u.state, open_execution = u.open_execution,
    state_reason = CASE WHEN u.state = 'paused' THEN u.reason ELSE t.state_reason END
FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::int[], %s::varchar[], %s::uuid[], %s::text[])
     AS u(id, next_us, fired_us, fires, state, open_execution, reason)
WHERE t.id = u.id
"""


def move_on(moved: list[Moved]) -> None:
    """Write the state of the other timers in one update."""
    if moved:
        with connection.cursor() as cursor:
            cursor.execute(
                _MOVE_ON,
                (
                    plain_array(row.id for row in moved),
                    plain_array(row.next_us for row in moved),
                    plain_array(row.fired_us for row in moved),
                    plain_array(row.fires for row in moved),
                    plain_array(row.state for row in moved),
                    plain_array(row.open_execution for row in moved),
                    [row.reason for row in moved],
                ),
            )
