"""Find a timer by its group and name: to read it, or to lock and change it."""

from __future__ import annotations

from timers.engine.group_lock import hold_group
from timers.exceptions import TimerNotFound
from timers.models import Timer


def read_timer(group: str, name: str) -> Timer:
    """Return the timer without locking its row. Raise TimerNotFound."""
    timer = Timer.objects.named(group, name).select_related("group").first()
    if timer is None:
        raise TimerNotFound(f"there is no timer {name!r} in group {group!r}")
    return timer


def lock_timer(group: str, name: str) -> Timer:
    """Return the timer with its row locked and its group held. Raise TimerNotFound.

    The group is locked first: a timer that is written twice in one transaction references its group again at commit,
    which would deadlock with a transaction that changes the group and waits for its timers.
    """
    hold_group(group)
    timer = Timer.objects.named(group, name).select_related("group").select_for_update(of=("self",)).first()
    if timer is None:
        raise TimerNotFound(f"there is no timer {name!r} in group {group!r}")
    return timer
