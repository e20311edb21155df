"""What holds up timers that are active themselves: a pause of their group, or of the whole cluster."""

from __future__ import annotations

from datetime import datetime

from timers.models import ClusterPause, Timer, TimerGroup


def cluster_pause() -> ClusterPause | None:
    """The pause of the whole cluster; None: there is none."""
    return ClusterPause.objects.first()


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
