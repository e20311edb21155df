"""Claim: take ready executions out of waiting, the twin of fire."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import transaction
from django.db.models import F, Q, TextField
from django.db.models.functions import Cast, Coalesce

from timers.actions import parse_text
from timers.execution_id import open_as
from timers.execution_id import parse as parse_id
from timers.lifecycle.due_timer import handler_of
from timers.lifecycle.end_waiting import end_waiting
from timers.lifecycle.execution import AnyHolder, Execution, Leading, ServedGroup
from timers.lifecycle.fence import insert_claim
from timers.lifecycle.group_limits import hold_allowance, ready_soon_us
from timers.lifecycle.group_lock import is_served_as_known
from timers.lifecycle.orders import holds
from timers.lifecycle.orders.claimed import attach
from timers.lifecycle.turn import rows_in_turn
from timers.lifecycle.unserved import Unserved
from timers.models import Timer, Waiting
from timers.payload import decode, storable
from timers.policies import overridden
from timers.schedules.instant import from_microseconds, to_microseconds
from timers.schedules.zones import zone

LOOKS: Final = 20
"""Batches of executions of cancelled timers that one claim ends to come to what may run."""


@dataclass(slots=True)
class LeftReady:
    """What claims of ready executions say of what they left. Instants are microseconds by the database's clock."""

    is_limited: bool = False
    """What is left must wait for the limits of the group."""
    rests_us: list[int] = field(default_factory=list)
    """Until when the limits of the group allow nothing, whatever ends before."""
    looks_us: list[int] = field(default_factory=list)
    """When executions within the look-ahead become available that are not claimed ahead of that."""


def claim_ready(
    holder: AnyHolder,
    group: ServedGroup,
    *,
    now_us: int,
    horizon_us: int,
    limit: int,
    unserved: Unserved | None = None,
    of: Sequence[int] | None = None,
    leading: Leading | None = None,
    left: LeftReady | None = None,
    roles: Collection[str] | None = None,
) -> list[Execution]:
    """Claim up to `limit` ready executions of a group that are available at or before the horizon (microseconds UTC).

    `unserved`: handlers whose work is left for nodes that know them (None: whoever calls needs no handler); those that
    are met are added. `of`: the subscriptions whose executions are claimed, one after the other, for the first of them
    (None: those that workers take, for themselves). `leading`: the leadership without which nothing is claimed.
    `left`: takes what is said of the rest. `roles`: those of the node, which steps of orders may require; None: all.
    """
    left = LeftReady() if left is None else left
    with transaction.atomic():
        allowance = hold_allowance(group, holder, now_us, horizon_us) if group.limits else None
        if allowance is not None:
            limit = min(limit, allowance.most)
            if limit < 1:
                left.is_limited = True
                left.rests_us += [] if allowance.rest_until_us is None else [allowance.rest_until_us]
                return []
        leave = () if unserved is None else unserved.known_with(group)
        if group.limits.is_rated:
            # What starts at a rate is not claimed ahead of its instant, which is looked at when it comes.
            if of is None:
                left.looks_us += ready_soon_us(group, group.for_workers(leave), now_us, horizon_us)
            horizon_us = min(now_us, horizon_us)
        horizon, rows = group.clock.horizon(now_us, horizon_us), list[dict[str, Any]]()
        full = allowance.full_keys() if allowance is not None else ()
        for _ in range(LOOKS):
            for ordinal in group.for_workers(leave) if of is None else of:
                if len(rows) < limit:
                    rows += _lock_ready(group, ordinal, horizon, limit - len(rows), leave, leading, full, roles)
            # A try was in flight when its timer was cancelled (or deleted), and came back for another.
            given_up = [str(row["id"]) for row in rows if _is_given_up(row)]
            if not given_up:
                break
            end_waiting("id = ANY(%(ids)s::uuid[])", "cancelled", "the timer was cancelled", ids=given_up)
            rows = [row for row in rows if not _is_given_up(row)]
            if rows:
                break
        if unserved is not None:
            rows = [row for row in rows if row["subscription"] or not unserved.leaves(row["action"], row["handler"])]
        if allowance is not None and group.limits.is_keyed:
            rows = [rows[place] for place in allowance.fitting([row["limit_key"] for row in rows])]
            # What of full keys only is left waits for these.
            left.is_limited = bool(full) and len(rows) < limit and not allowance.refused
            if allowance.refused:
                left.rests_us.append(now_us)  # their keys are full now, and others may stand behind them
        rows = rows_in_turn(rows, group, group.clock.at(now_us))
        if not rows:
            return []
        executions = [_execution(row, group, row["subscription"] if of is None else of[0]) for row in rows]
        attach(executions)
        executions, _ = holds.admit(executions)
        Waiting.objects.filter(id__in=[execution.id for execution in executions]).delete()
        if allowance is not None:
            for execution in executions:
                allowance.take(execution)
            allowance.save()
            left.is_limited |= allowance.most < 1
        insert_claim(holder, group, executions, now_us)
        holds.hold(executions)
    return executions


def _is_given_up(row: dict[str, Any]) -> bool:
    """Whether the timer is cancelled or gone. Orders of chains go on to their finally steps all the same."""
    return row["step"] is None and row["timer_state"] in (None, Timer.State.CANCELLED)


def _lock_ready(
    group: ServedGroup,
    ordinal: int,
    horizon_us: int,
    limit: int,
    leave: Collection[str],
    leading: Leading | None,
    full: Collection[str],
    roles: Collection[str] | None,
) -> list[dict[str, Any]]:
    ready = Waiting.objects.filter(
        is_served_as_known(group, leading),
        group_id=group.id,
        subscription=ordinal,
        state=Waiting.State.READY,
        available_at__lte=from_microseconds(horizon_us),
    )
    if roles is not None:
        ready = ready.filter(Q(required_roles=None) | Q(required_roles__contained_by=list(roles)))
    if full:
        ready = ready.exclude(timer__limit_key__in=list(full))
    if leave and not ordinal:
        handler = Coalesce("handler", handler_of(group, "timer__action"))
        ready = ready.annotate(handler_name=handler).exclude(handler_name__in=list(leave))
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
            limit_key=F("timer__limit_key"),
        )[:limit]
    )
    return rows


def _follows(row: dict[str, Any]) -> bool:
    """Whether the timer's row is moved at the end. One that has become a one-shot still has what queues behind this."""
    if row["step"]:
        # Its end may be that of the whole order, whose id a branch does not have.
        return row["open_execution"] is not None or row["until_committed"] or row["kind"] not in (None, "once")
    recurs = row["until_committed"] or row["kind"] not in (None, "once")
    is_open = row["open_execution"] is not None and str(row["open_execution"]) == open_as(str(row["id"]))
    return is_open or (row["origin"] == "schedule" and recurs)


def _execution(row: dict[str, Any], group: ServedGroup, ordinal: int) -> Execution:
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
        limit_key=row["limit_key"],
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
