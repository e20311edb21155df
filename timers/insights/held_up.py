"""What holds up active timers: a pause of their group or of the whole cluster, a handler that no living node knows, a
limit of their group.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection

from timers.domain.payload import readable
from timers.insights.limits import Reached, limits_reached
from timers.models import ClusterPause, Timer, TimerGroup
from timers.models.claimed import CLAIMED, claimed_of
from timers.models.cluster_pause import EVERYWHERE
from timers.models.rows import columns, made

KnownHandlers = Mapping[str, frozenset[str]]
"""By partition: the handlers that its living nodes know. A partition without a living node is missing."""

Pauses = Mapping[str, ClusterPause]
"""By partition, or EVERYWHERE: what is paused."""

# By hand, and few: each read of a timer asks, and a query of the ORM costs several times as much.
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
    """What is told of one timer beyond its row."""

    in_flight: list[str]
    """Its executions that a worker or consumer holds right now."""
    last_result: Any
    """What its latest success has returned; None also where there is none."""
    pauses: Pauses
    known: KnownHandlers
    reached: Reached
    """See limits_reached."""


def timer_facts(timer: Timer) -> TimerFacts:
    """Read what is shown of one timer beyond its row: one statement, and a second one where its group has limits."""
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
    """The pauses of the cluster and of partitions, and the handlers of living nodes that execute.

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
    """Why an active timer waits for a node that knows its handler, in words; empty: it does not.

    `known`: None where this is not looked up. A partition without any living node is reported as such elsewhere.
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
    """Why an active timer that is due waits for the limits of its group, in words; empty: it does not.

    `reached`: see limits_reached. `present`: the group's present instant.
    """
    if timer.state != Timer.State.ACTIVE or due_since(timer, present) is None:
        return ""
    return reached.get((timer.group_id, None)) or reached.get((timer.group_id, timer.limit_key), "")


def held_up_by(timer: Timer, group: TimerGroup, pauses: Pauses) -> str:
    """Why an active timer does not fire for now, in words; empty: nothing holds it up, or it is not active itself."""
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
    """The instant that has come and that a held-up timer will not fire at; None: its next instant is ahead."""
    return timer.next_fire_at if timer.next_fire_at is not None and timer.next_fire_at <= present else None
