"""Ready rows: lock ready executions together with their timers' data, and build the claimed executions from them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from django.db.models import F, Q, TextField
from django.db.models.functions import Cast, Coalesce

from timers.actions import parse_text
from timers.database import connection
from timers.domain.chains.limits import MAX_PRIORITY
from timers.domain.execution_id import open_as
from timers.domain.execution_id import parse as parse_id
from timers.domain.payload import decode, storable
from timers.domain.policies import overridden
from timers.engine.arrays import plain_array
from timers.engine.due_timer import handler_of
from timers.engine.execution import Execution, Leading, ServedGroup
from timers.engine.group_lock import is_served_as_known
from timers.models import Waiting
from timers.schedules.instant import from_microseconds, to_microseconds
from timers.schedules.zones import zone

# One look for each priority: a range of priorities would read executions that become available later, of every priority
# but the last. With ORDER BY and LIMIT in a LATERAL it stays one look, whatever the statistics say.
_PRIORITIES: Final = f"""
SELECT p.priority FROM generate_series({MAX_PRIORITY}, {-MAX_PRIORITY}, -1) AS p(priority) CROSS JOIN LATERAL (
    SELECT 1 FROM timers_waiting w
    WHERE w.group_id = %s AND w.subscription = %s AND w.state = 'ready' AND w.priority = p.priority AND w.priority <> 0
      AND w.available_at <= %s
    ORDER BY w.available_at LIMIT 1) found
ORDER BY p.priority DESC
"""


def ready_priorities(group: ServedGroup, ordinal: int, horizon_us: int) -> list[int]:
    """Return the priorities of ready executions, highest first; 0 is always among them.

    Args:
        group: their group.
        ordinal: their subscription; 0: none.
        horizon_us: latest instant of availability, by the group's clock (microseconds).
    """
    with connection.cursor() as cursor:
        cursor.execute(_PRIORITIES, (group.id, ordinal, from_microseconds(horizon_us)))
        return sorted({0, *(priority for (priority,) in cursor.fetchall())}, reverse=True)


def lock_ready_rows(
    group: ServedGroup,
    ordinal: int,
    horizon_us: int,
    limit: int,
    leave: Collection[str],
    leading: Leading | None,
    *,
    ids: Collection[str] | None = None,
    seen: Collection[str] = (),
    roles: Collection[str] | None = None,
    priority: int | None = None,
) -> list[dict[str, Any]]:
    """Lock ready executions and read their timers' data, earliest first; skip locked rows.

    Args:
        group: their group; nothing is locked if it has changed since it was read, or is being changed.
        ordinal: their subscription; 0: none.
        horizon_us: latest instant of availability, by the group's clock (microseconds).
        limit: maximum number of rows.
        leave: handlers whose executions are left.
        leading: the leadership without which nothing is locked.
        ids: only these; None: any.
        seen: executions that are left.
        roles: roles of the node, which steps of orders may require; None: all.
        priority: only executions of this priority; None: any.
    """
    ready = Waiting.objects.filter(
        is_served_as_known(group, leading),
        group_id=group.id,
        subscription=ordinal,
        state=Waiting.State.READY,
        available_at__lte=from_microseconds(horizon_us),
    )
    if ids is not None:
        ready = ready.filter(id__in=list(ids))
    if seen:
        ready = ready.exclude(id__in=list(seen))
    if roles is not None:
        ready = ready.filter(Q(required_roles=None) | Q(required_roles__contained_by=list(roles)))
    if leave and not ordinal:
        handler = Coalesce("handler", handler_of(group, "timer__action"))
        ready = ready.annotate(handler_name=handler).exclude(handler_name__in=list(leave))
    if priority is not None:
        ready = ready.filter(priority=priority)
    rows: list[Any] = list(
        ready.order_by("available_at")
        .select_for_update(skip_locked=True, of=("self",))
        .values(
            "id",
            "timer_id",
            "name",
            "available_at",
            "attempt",
            "forgiven",
            "snoozes",
            "missed_count",
            "origin",
            "subscription",
            "step",
            "handler",
            own_payload=Cast(F("payload"), TextField()),
            timer_payload=Cast(F("timer__payload"), TextField()),
            action=Cast(F("timer__action"), TextField()),
            overrides=Cast(F("timer__overrides"), TextField()),
            kind=F("timer__schedule_kind"),
            timer_state=F("timer__state"),
            schedule=Cast(F("timer__schedule"), TextField()),
            time_zone=F("timer__time_zone"),
            until_committed=F("timer__until_committed"),
            open_execution=F("timer__open_execution"),
            timer_key=F("timer__limit_key"),
        )[:limit]
    )
    return rows


def delete_ready_rows(executions: Collection[Execution]) -> None:
    """Delete the locked rows of executions that are claimed."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM timers_waiting WHERE id = ANY(%s::uuid[])", (plain_array(each.id for each in executions),)
        )


def _follows(row: dict[str, Any]) -> bool:
    """Whether the timer's row changes at the end. A timer that became a one-shot can still have queued executions."""
    if row["step"]:
        # Its end may be that of the whole order, whose id a branch does not carry.
        return row["open_execution"] is not None or row["until_committed"] or row["kind"] not in (None, "once")
    recurs = row["until_committed"] or row["kind"] not in (None, "once")
    is_open = row["open_execution"] is not None and str(row["open_execution"]) == open_as(str(row["id"]))
    return is_open or (row["origin"] == "schedule" and recurs)


def execution_of(row: dict[str, Any], group: ServedGroup, ordinal: int) -> Execution:
    """Return the execution of a locked row; unreadable data makes it poison, which fails alone.

    Args:
        row: the row, as lock_ready_rows returned it.
        group: its group.
        ordinal: the subscription that it is for; 0: none.
    """
    execution = Execution(
        id=str(row["id"]),
        timer_id=row["timer_id"],
        group=group,
        name=row["name"],
        scheduled_us=parse_id(str(row["id"])).scheduled_us,
        available_us=to_microseconds(row["available_at"]),
        attempt=row["attempt"] + 1,
        payload=None,
        action=group.action,
        policies=group.policies,
        time_zone=row["time_zone"] or "UTC",
        origin=row["origin"],
        missed_count=row["missed_count"],
        forgiven=row["forgiven"],
        snoozes=row["snoozes"],
        own_payload=row["own_payload"],
        schedule_kind=row["kind"] or "once",
        schedule_text=row["schedule"] or "",
        follows=_follows(row),
        limit_key=row["timer_key"],
        until_committed=bool(row["until_committed"]) and row["origin"] == "schedule",
        step=row["step"] or "",
    )
    try:
        zone(execution.time_zone)
        payload = row["timer_payload"] if row["own_payload"] is None else row["own_payload"]
        execution.payload = None if payload is None else decode(payload)
        if row["action"] is not None:
            execution.action = parse_text(row["action"])
        if row["overrides"] is not None:
            execution.policies = overridden(group.policies, row["overrides"])
        subscriber = group.subscriber(ordinal)
        if subscriber is not None:
            execution.hand_to(subscriber)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one row must not stop the batch
        execution.poison = storable(str(error))
    return execution
