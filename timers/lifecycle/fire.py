"""Fire: take due timers, decide, move them on and claim their occurrences, in one transaction.

The number of statements is the same whatever the batch: lock and read, move the one-shots, move the others, insert one
claim, insert the skipped ones into the ledger.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from django.db import connection, transaction
from django.db.models import F, Q, TextField, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Coalesce

from timers.actions import Action, parse_text
from timers.execution_id import execution_id
from timers.lifecycle import ledger
from timers.lifecycle.arrays import plain_array, timestamp
from timers.lifecycle.decide import Due, decide
from timers.lifecycle.execution import Execution, Holder, ServedGroup
from timers.lifecycle.fence import insert_claim
from timers.models import Timer
from timers.payload import decode, storable
from timers.policies import overridden
from timers.schedules import parse_text as parse_schedule
from timers.schedules.instant import from_microseconds, to_microseconds
from timers.schedules.zones import zone

MAX_SKIPS: Final = 5000
"""Skipped occurrences that one transaction writes."""


@dataclass(slots=True)
class Fired:
    """What one batch brought."""

    executions: list[Execution] = field(default_factory=list)
    skipped: int = 0
    rows: int = 0
    """Timers locked; as many as the limit means that more may be due."""
    last_us: int = 0
    """The instant of the last timer seen: nothing below it is left, but for what others hold or commit late."""


class _Row(NamedTuple):
    id: int
    name: str
    kind: str
    schedule: str
    time_zone: str
    next_fire_at: Any
    end_at: Any
    max_fires: int | None
    fire_count: int
    open_execution: Any
    until_committed: bool
    payload: str | None
    action: str | None
    overrides: str | None


@dataclass(slots=True)
class _Moved:
    """Where a timer stands after its decision; a column of the update each."""

    id: int
    next_us: int | None
    fired_us: int | None
    fires: int
    state: str
    open_execution: str | None
    reason: str = ""


def fire_due(
    holder: Holder,
    group: ServedGroup,
    shard: int,
    *,
    now_us: int,
    horizon_us: int,
    limit: int,
    low_us: int | None = None,
    leave: Collection[str] = (),
) -> Fired:
    """Fire up to `limit` timers of a group's shard whose instant is at or before the horizon.

    Instants are microseconds since 1970 UTC. `low_us`: skip the dead entries at the head of the index below it.
    `leave`: handlers that only other nodes know; their timers are left for those. Timers due after `now_us` are claimed
    ahead; one whose execution before is not ended is left until its instant has come.
    """
    with transaction.atomic():
        rows = _lock_due(group, shard, now_us, horizon_us, limit, low_us, leave)
        fired = Fired(rows=len(rows))
        if not rows:
            return fired
        fired.last_us = to_microseconds(rows[-1].next_fire_at)
        one_shots: list[int] = []
        moved: list[_Moved] = []
        skips: list[ledger.Skip] = []
        for row in rows:
            if len(skips) > MAX_SKIPS:
                # The rest stays due and comes with the next batch: one transaction must not take long.
                break
            if row.kind == "once" and not row.until_committed:
                fired.executions.append(_execution(row, group, to_microseconds(row.next_fire_at)))
                one_shots.append(row.id)
            else:
                _fire_recurring(row, group, now_us, fired.executions, moved, skips)
        fired.skipped = len(skips)
        _finish_one_shots(one_shots)
        _move_on(moved)
        insert_claim(holder, group, fired.executions, now_us)
        ledger.write_skips(skips, now_us)
    return fired


def _lock_due(
    group: ServedGroup,
    shard: int,
    now_us: int,
    horizon_us: int,
    limit: int,
    low_us: int | None,
    leave: Collection[str],
) -> list[_Row]:
    due = Timer.objects.filter(
        Q(open_execution=None) | Q(next_fire_at__lte=from_microseconds(now_us)),
        group_id=group.id,
        shard=shard,
        state=Timer.State.ACTIVE,
        next_fire_at__lte=from_microseconds(horizon_us),
    )
    if low_us is not None:
        due = due.filter(next_fire_at__gte=from_microseconds(low_us))
    if leave:
        own = Coalesce(KeyTextTransform("handler", "action"), Value(group.handler, output_field=TextField()))
        due = due.annotate(handler_name=own).exclude(handler_name__in=list(leave))
    rows = (
        due.order_by("next_fire_at")
        .select_for_update(skip_locked=True, no_key=True)
        .values_list(
            "id",
            "name",
            "schedule_kind",
            # As text: each row is decoded by itself, so a poison row fails alone.
            Cast("schedule", TextField()),
            "time_zone",
            "next_fire_at",
            "end_at",
            "max_fires",
            "fire_count",
            "open_execution",
            "until_committed",
            Cast(F("payload"), TextField()),
            Cast(F("action"), TextField()),
            Cast(F("overrides"), TextField()),
        )[:limit]
    )
    return [_Row(*row) for row in rows]


def _fire_recurring(
    row: _Row,
    group: ServedGroup,
    now_us: int,
    executions: list[Execution],
    moved: list[_Moved],
    skips: list[ledger.Skip],
) -> None:
    next_us = to_microseconds(row.next_fire_at)
    waits_for_end = row.until_committed or row.kind == "fixed_delay"
    try:
        policies = overridden(group.policies, row.overrides) if row.overrides else group.policies
        decision = decide(_due(row, waits_for_end), policies, now_us)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one row must not stop the batch
        # Its instants cannot be computed: this one occurrence fails with the reason, and the timer waits for a person.
        execution = _execution(row, group, next_us)
        execution.poison = execution.poison or storable(f"the timer cannot be read: {error}")
        executions.append(execution)
        # A microsecond on: this instant is fired, and an instant is never fired twice.
        moved.append(_Moved(row.id, next_us + 1, next_us, 1, "paused", None, execution.poison))
        return
    skips += [
        ledger.Skip(execution_id(instant, row.id), group.id, row.id, row.name, instant, reason, count)
        for instant, reason, count in decision.skipped
    ]
    open_execution = None if row.open_execution is None else str(row.open_execution)
    if decision.fire_us is not None:
        execution = _execution(row, group, decision.fire_us)
        execution.missed_count = decision.missed_count
        execution.follows = True
        execution.until_committed = row.until_committed
        execution.next_us = decision.next_us
        executions.append(execution)
        if waits_for_end or policies.overlap_policy != "allow":
            open_execution = execution.id
    moved.append(
        _Moved(
            id=row.id,
            next_us=decision.next_us,
            fired_us=decision.fire_us,
            fires=0 if decision.fire_us is None else 1,
            state="finished" if decision.finished else "active",
            open_execution=open_execution,
        )
    )


def _due(row: _Row, waits_for_end: bool) -> Due:
    return Due(
        schedule=parse_schedule(row.kind, row.schedule, row.time_zone),
        next_us=to_microseconds(row.next_fire_at),
        is_open=row.open_execution is not None,
        waits_for_end=waits_for_end,
        end_us=None if row.end_at is None else to_microseconds(row.end_at),
        fires_left=None if row.max_fires is None else row.max_fires - row.fire_count,
    )


def _execution(row: _Row, group: ServedGroup, instant_us: int) -> Execution:
    poison = ""
    payload: Any = None
    action: Action | None = group.action
    policies = group.policies
    try:
        zone(row.time_zone)
        if row.payload is not None:
            payload = decode(row.payload)
        if row.action is not None:
            action = parse_text(row.action)
        if row.overrides is not None:
            policies = overridden(policies, row.overrides)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one row must not stop the batch
        poison = storable(str(error))
    return Execution(
        id=execution_id(instant_us, row.id),
        timer_id=row.id,
        group=group,
        name=row.name,
        scheduled_us=instant_us,
        available_us=instant_us,
        attempt=1,
        payload=payload,
        action=action,
        policies=policies,
        time_zone=row.time_zone,
        schedule_kind=row.kind,
        schedule_text=row.schedule,
        poison=poison,
    )


def _finish_one_shots(ids: list[int]) -> None:
    if ids:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE timers_timer SET state = 'finished', last_fire_at = next_fire_at, next_fire_at = NULL,"
                " fire_count = fire_count + 1 WHERE id = ANY(%s::bigint[])",
                (plain_array(ids),),
            )


_MOVE_ON = f"""
UPDATE timers_timer t
SET next_fire_at = {timestamp("u.next_us")}, last_fire_at = COALESCE({timestamp("u.fired_us")}, t.last_fire_at),
    fire_count = t.fire_count + u.fires, state = u.state, open_execution = u.open_execution,
    state_reason = CASE WHEN u.state = 'paused' THEN u.reason ELSE t.state_reason END
FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::int[], %s::varchar[], %s::uuid[], %s::text[])
     AS u(id, next_us, fired_us, fires, state, open_execution, reason)
WHERE t.id = u.id
"""


def _move_on(moved: list[_Moved]) -> None:
    if moved:
        with connection.cursor() as cursor:
            cursor.execute(
                _MOVE_ON,
                (
                    plain_array(row.id for row in moved),
                    plain_array(row.next_us for row in moved),
                    plain_array(row.fired_us for row in moved),
                    plain_array(row.fires for row in moved),
                    plain_array(row.state for row in moved),
                    plain_array(row.open_execution for row in moved),
                    [row.reason for row in moved],
                ),
            )
