"""What holds up active timers: a pause of their group or of the whole cluster, a handler that no living node knows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db.models.expressions import RawSQL

from timers.models import ClusterPause, Node, Timer, TimerGroup

KnownHandlers = Mapping[str, frozenset[str]]
"""By partition: the handlers that its living nodes know. A partition without a living node is missing."""


def cluster_pause() -> ClusterPause | None:
    """The pause of the whole cluster; None: there is none."""
    return ClusterPause.objects.first()


def known_handlers() -> KnownHandlers:
    """The handlers of living nodes that execute; a node that publishes none is left out."""
    rows = Node.objects.filter(
        state__in=Node.LIVE, allow_execution=True, lease_expires_at__gt=RawSQL("timers_now()", ())
    ).values_list("partition", "handlers")
    found: dict[str, set[str]] = {}
    for partition, names in rows:
        if names:
            found.setdefault(partition, set()).update(names)
    return {partition: frozenset(names) for partition, names in found.items()}


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


def held_up_by(timer: Timer, group: TimerGroup, pause: ClusterPause | None) -> str:
    """Why an active timer does not fire for now, in words; empty: nothing holds it up, or it is not active itself."""
    if timer.state != Timer.State.ACTIVE:
        return ""
    if group.state == TimerGroup.State.PAUSED:
        why = f": {group.state_reason}" if group.state_reason else ""
        return f"its group {group.name} is paused{why}"
    if pause is not None:
        why = f": {pause.reason}" if pause.reason else ""
        return f"the cluster is paused{why}"
    return ""


def due_since(timer: Timer, present: datetime) -> datetime | None:
    """The instant that has come and that a held-up timer will not fire at; None: its next instant is ahead."""
    return timer.next_fire_at if timer.next_fire_at is not None and timer.next_fire_at <= present else None
