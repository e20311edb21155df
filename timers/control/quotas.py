"""Quotas: how many living timers a group may have, how long their payloads, how often they may fire.

Living timers are counted exactly, under the lock of the group's row, and rarely: the row stores how many timers can
still be created before the next count. That number is never too high: timers that end do not raise it, and every new
timer passes through here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from timers import clock
from timers.engine.group_clock import GroupClock
from timers.exceptions import InvalidRequest, QuotaExceeded
from timers.models import Timer, TimerGroup
from timers.schedules import Schedule
from timers.schedules.shortest_interval import shortest_interval


def hold_quotas(groups: Iterable[str]) -> dict[int, TimerGroup]:
    """Lock the groups that limit their timers, until the transaction ends; if none does, this costs one query."""
    names = list(groups)
    if not names:
        return {}
    limited = TimerGroup.objects.filter(name__in=names, max_timers__isnull=False).order_by("id")
    # Does not block transactions that only refer to a group, as new timers do.
    return {group.id: group for group in limited.select_for_update(no_key=True)}


def without_room(group: TimerGroup, names: Sequence[str]) -> dict[str, QuotaExceeded]:
    """Return the names for which a locked group has no room, in order. A name with a living timer needs none."""
    if group.max_timers is None or len(names) <= group.spare_timers:
        return {}
    living = Timer.objects.filter(group_id=group.id, state__in=(Timer.State.ACTIVE, Timer.State.PAUSED))
    present = living.count()
    group.spare_timers = max(0, group.max_timers - present)
    if len(names) <= group.spare_timers:
        return {}
    taken = set(living.filter(name__in=names).values_list("name", flat=True))
    new = [name for name in names if name not in taken]
    words = f"of group {group.name} is {group.max_timers:,} living timers, and there are {present:,}"
    room = f"; there is room for {group.spare_timers:,} of these {len(new):,}" if len(new) > 1 else ""
    refused = new[group.spare_timers :]
    return {name: QuotaExceeded("max_timers", f"{words}{room}; cancel some, or ask for more") for name in refused}


def count_in(group: TimerGroup, added: int) -> None:
    """Count timers that are added to a locked group, after without_room was called for them."""
    TimerGroup.objects.filter(id=group.id).update(spare_timers=max(0, group.spare_timers - added))


def check_payload(group: TimerGroup, payload: str | None) -> None:
    """Raise QuotaExceeded for a payload (JSON text) that is too long for the group."""
    most = group.max_payload_bytes
    if most is not None and payload is not None and (size := len(payload.encode())) > most:
        raise QuotaExceeded(
            "payload", f"is {size:,} bytes long; {most:,} is the most (max_payload_bytes of group {group.name})"
        )


def check_interval(group: TimerGroup, schedule: Schedule, now: datetime) -> None:
    """Raise QuotaExceeded for a schedule whose next fires are closer together than the group allows."""
    if group.min_interval is None or not schedule.recurring:
        return
    shortest = shortest_interval(schedule, now)
    if shortest is not None and shortest < timedelta(seconds=group.min_interval):
        raise QuotaExceeded(
            "schedule",
            f"fires {shortest.total_seconds():g} s after the fire before; {group.min_interval:g} s is the least"
            f" (min_interval of group {group.name})",
        )


def look_at_interval(group: str, schedule: Callable[[], Schedule]) -> None:
    """Compute the interval for check_interval before rows are locked: the result is cached for a minute."""
    row = TimerGroup.objects.filter(name=group, min_interval__isnull=False).first()
    with suppress(InvalidRequest):
        if row is not None:
            check_interval(row, schedule(), GroupClock.of(row).moment(clock.now()))
