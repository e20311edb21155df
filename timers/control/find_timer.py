"""Find a timer by its group and name: to read it, or to change it under its lock."""

from __future__ import annotations

from timers.engine.group_lock import hold_group
from timers.exceptions import TimerNotFound
from timers.models import Timer


def read_timer(group: str, name: str) -> Timer:
    """The timer as it is, its row not locked; raises TimerNotFound."""
    timer = Timer.objects.named(group, name).select_related("group").first()
    if timer is None:
        raise TimerNotFound(f"there is no timer {name!r} in group {group!r}")
    return timer


def lock_timer(group: str, name: str) -> Timer:
    """The timer, its row locked and its group held; raises TimerNotFound.

    The group first: a timer that is written twice in one transaction refers to it anew at the commit, and whoever
    changes the group, and waits for its timers, would be waited for.
    """
    hold_group(group)
    timer = Timer.objects.named(group, name).select_related("group").select_for_update(of=("self",)).first()
    if timer is None:
        raise TimerNotFound(f"there is no timer {name!r} in group {group!r}")
    return timer
