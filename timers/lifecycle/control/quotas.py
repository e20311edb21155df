"""Quotas: how many living timers a group may have, how long their payloads, how often they may fire.

Living timers are counted exactly, under the lock of the group's row, and seldom: the row remembers how many may still
be created before they must be counted again. That number is never too high: timers end without telling it, but come
only by way of here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from django.db.models import F

from timers.exceptions import QuotaExceeded
from timers.models import Timer, TimerGroup
from timers.schedules import Schedule
from timers.schedules.shortest_interval import shortest_interval


def hold_quotas(groups: Iterable[str]) -> dict[int, TimerGroup]:
    """Lock those of the groups that limit their timers, until the transaction ends; the others cost one query."""
    names = list(groups)
    if not names:
        return {}
    limited = TimerGroup.objects.filter(name__in=names, max_timers__isnull=False).order_by("name")
    # Not against those who only refer to a group, as new timers do.
    return {group.id: group for group in limited.select_for_update(no_key=True)}


def count_in(held: Mapping[int, TimerGroup], group_id: int, added: int) -> None:
    """Take note of timers that have been added to a group; raises QuotaExceeded when they are too many for it.

    `held`: what hold_quotas gave, in the same transaction, before they were added.
    """
    group = held.get(group_id)
    if group is None or group.max_timers is None or not added:
        return
    if added <= group.spare_timers:
        TimerGroup.objects.filter(id=group_id).update(spare_timers=F("spare_timers") - added)
        return
    living = Timer.objects.filter(group_id=group_id, state__in=(Timer.State.ACTIVE, Timer.State.PAUSED)).count()
    if living > group.max_timers:
        raise QuotaExceeded(
            "max_timers",
            f"of group {group.name} is {group.max_timers:,} living timers, and there are {living - added:,};"
            " cancel some, or ask for more",
        )
    TimerGroup.objects.filter(id=group_id).update(spare_timers=group.max_timers - living)


def check_payload(group: TimerGroup, payload: str | None) -> None:
    """Raise QuotaExceeded for a payload (JSON text) that is too long for the group."""
    most = group.max_payload_bytes
    if most is not None and payload is not None and (size := len(payload.encode())) > most:
        raise QuotaExceeded(
            "payload", f"is {size:,} bytes long; {most:,} is the most (max_payload_bytes of group {group.name})"
        )


def check_interval(group: TimerGroup, schedule: Schedule, now: datetime) -> None:
    """Raise QuotaExceeded for a schedule whose next fires come closer together than the group allows."""
    if group.min_interval is None or not schedule.recurring:
        return
    shortest = shortest_interval(schedule, now)
    if shortest is not None and shortest < timedelta(seconds=group.min_interval):
        raise QuotaExceeded(
            "schedule",
            f"fires {shortest.total_seconds():g} s after the fire before; {group.min_interval:g} s is the least"
            f" (min_interval of group {group.name})",
        )
