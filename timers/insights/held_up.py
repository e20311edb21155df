"""What keeps active timers from firing: a pause of their group or of the cluster, a handler that no live node knows, or
a limit of their group.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from timers.database import connection
from timers.domain.payload import readable
from timers.insights.limits import Reached, limits_reached
from timers.models import ClusterPause, Timer, TimerGroup
from timers.models.claimed import CLAIMED, claimed_of
from timers.models.cluster_pause import EVERYWHERE
from timers.models.rows import columns, made

KnownHandlers = Mapping[str, frozenset[str]]
"""Handlers that the live nodes know, by partition. A partition without a live node is missing."""

Pauses = Mapping[str, ClusterPause]
"""Pauses by partition, or under EVERYWHERE for the whole cluster."""

# Raw SQL, because every read of a timer runs these and an ORM query costs several times as much.
_EXECUTES: Final = (
    "n.state IN ('starting', 'active', 'standby', 'draining') AND n.allow_execution"
    " AND n.lease_expires_at > timers_now() AND n.handlers <> '{}'"
)
_CLUSTER: Final = f"""
SELECT {columns(ClusterPause, "p")}, n.partition, n.handlers
FROM (SELECT 1) one
LEFT JOIN timers_cluster_pause p ON true
LEFT JOIN timers_node n ON {_EXECUTES}
"""
_OF_TIMER: Final = f"""
SELECT ARRAY({CLAIMED}),
       (SELECT result::text FROM timers_attempt
        WHERE timer_id = %(timer)s AND outcome = 'succeeded' ORDER BY id DESC LIMIT 1),
       (SELECT ARRAY[z.partition, z.reason] FROM timers_cluster_pause z
        WHERE z.partition IN ('', %(partition)s) ORDER BY z.partition LIMIT 1),
       ARRAY(SELECT DISTINCT h.name FROM timers_node n, unnest(n.handlers) AS h(name)
             WHERE n.partition = %(partition)s AND {_EXECUTES})
"""


@dataclass(frozen=True, slots=True)
class TimerFacts:
    """Facts about one timer that its row does not contain."""

    in_flight: list[str]
    """Its executions that a worker or consumer has claimed now."""
    last_result: Any
    """Return value of its latest success; None also if there is none."""
    pauses: Pauses
    known: KnownHandlers
    reached: Reached
    """Limits that are reached; see limits_reached."""


def timer_facts(timer: Timer) -> TimerFacts:
    """Read what is shown of one timer beyond its row: one statement, and a second one if its group has limits."""
    with connection.cursor() as cursor:
        cursor.execute(_OF_TIMER, {**claimed_of(timer), "partition": timer.group.partition})
        in_flight, result, pause, names = cursor.fetchone()
    return TimerFacts(
        in_flight,
        None if result is None else readable(result),
        {} if pause is None else {pause[0]: ClusterPause(partition=pause[0], reason=pause[1])},
        {timer.group.partition: frozenset(names)} if names else {},
        limits_reached([timer.group]),
    )


def cluster_facts() -> tuple[Pauses, KnownHandlers]:
    """Return the pauses of the cluster and of partitions, and the handlers of live nodes that execute.

    A node that publishes no handlers is left out.
    """
    with connection.cursor() as cursor:
        cursor.execute(_CLUSTER)
        rows = cursor.fetchall()
    found: dict[str, set[str]] = {}
    pauses: dict[str, ClusterPause] = {}
    for *pause, partition, names in rows:
        if pause[0] is not None and (row := made(ClusterPause, pause)).partition not in pauses:
            pauses[row.partition] = row
        if names:
            found.setdefault(partition, set()).update(names)
    return pauses, {partition: frozenset(names) for partition, names in found.items()}


def waits_for_handler(timer: Timer, group: TimerGroup, known: KnownHandlers | None) -> str:
    """Return why an active timer waits for a node that knows its handler; empty: it does not wait.

    `known`: None if not looked up. A partition without a live node is reported elsewhere.
    """
    alive = None if known is None else known.get(group.partition)
    if alive is None or timer.state != Timer.State.ACTIVE:
        return ""
    action = timer.action if timer.action is not None else group.action if group.worker_ordinals is None else None
    handler = action.get("handler") if isinstance(action, dict) else None
    if not isinstance(handler, str) or handler in alive:
        return ""
    return f"no living node knows its handler {handler}; it fires when one does"


def waits_for_limit(timer: Timer, present: datetime, reached: Reached) -> str:
    """Return why an active, due timer waits for the limits of its group; empty: it does not wait.

    `reached`: see limits_reached. `present`: the group's present instant.
    """
    if timer.state != Timer.State.ACTIVE or due_since(timer, present) is None:
        return ""
    return reached.get((timer.group_id, None)) or reached.get((timer.group_id, timer.limit_key), "")


def held_up_by(timer: Timer, group: TimerGroup, pauses: Pauses) -> str:
    """Return why an active timer does not fire now; empty: nothing keeps it, or it is not active itself."""
    if timer.state != Timer.State.ACTIVE:
        return ""
    if group.state == TimerGroup.State.PAUSED:
        why = f": {group.state_reason}" if group.state_reason else ""
        return f"its group {group.name} is paused{why}"
    pause = pauses.get(EVERYWHERE) or pauses.get(group.partition)
    if pause is not None:
        return f"{pause}{f': {pause.reason}' if pause.reason else ''}"
    return ""


def due_since(timer: Timer, present: datetime) -> datetime | None:
    """Return the past instant at which a paused or blocked timer was due; None: its next instant is in the future."""
    return timer.next_fire_at if timer.next_fire_at is not None and timer.next_fire_at <= present else None
