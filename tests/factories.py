"""Rows in any state, made directly: what the engine would have left behind, without running it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from django.db import connection
from django.db.models import Model

from timers import clock
from timers.domain.execution_id import execution_id, try_id
from timers.models import (
    LATENESS_BUCKETS_MS,
    Attempt,
    Chain,
    ChainOrder,
    Claim,
    ClusterEvent,
    Leadership,
    Node,
    OrderHold,
    StatsMinute,
    Subscription,
    Timer,
    TimerGroup,
    Waiting,
)
from timers.schedules.instant import format_instant, to_microseconds

_numbers = count(1)


def group(name: str = "", **fields: Any) -> TimerGroup:
    """A group; without a name, one of its own."""
    now = clock.now()
    defaults = {"created_at": now, "updated_at": now, "action": {"kind": "python", "handler": "tests.noop"}}
    return TimerGroup.objects.create(name=name or f"group-{next(_numbers)}", **{**defaults, **fields})


def timer(name: str = "", *, in_group: TimerGroup | None = None, due_in: float = 3600, **fields: Any) -> Timer:
    """An active hourly timer that fires in `due_in` seconds."""
    now = clock.now()
    next_fire_at = now + timedelta(seconds=due_in)
    defaults = {
        "group": in_group or group(),
        "name": name or f"timer-{next(_numbers)}",
        "schedule_kind": "fixed_rate",
        "schedule": {"period": 3600, "anchor": format_instant(next_fire_at)},
        "next_fire_at": next_fire_at,
        "created_at": now,
        "updated_at": now,
    }
    return Timer.objects.create(**{**defaults, **fields})


def attempt(of: Timer, outcome: str = "succeeded", *, ago: float = 60, number: int = 1, **fields: Any) -> Attempt:
    """A row of the ledger, `ago` seconds old, 12 ms late; a final outcome has its execution's id."""
    due = clock.now() - timedelta(seconds=ago)
    execution = execution_id(to_microseconds(due), of.id)
    ran = outcome not in ("skipped", "cancelled")
    defaults = {
        "id": uuid.UUID(execution if outcome in Attempt.FINAL else try_id(execution, number)),
        "group_id": of.group_id,
        "timer_id": of.id,
        "name": of.name,
        "scheduled_for": due,
        "attempt": number if ran else 0,
        "outcome": outcome,
        "origin": "schedule",
        "node": "node-a" if ran else None,
        "worker": 1 if ran else None,
        "started_at": due + timedelta(milliseconds=12) if ran else None,
        "finished_at": due + timedelta(milliseconds=48),
    }
    return Attempt.objects.create(**{**defaults, **fields})


def waiting(of: Timer, state: str = "failed", *, ago: float = 60, **fields: Any) -> Waiting:
    """An execution that waits: failed for good, or ready to be taken up."""
    now = clock.now()
    due = now - timedelta(seconds=ago)
    defaults = {
        "id": uuid.UUID(execution_id(to_microseconds(due), of.id)),
        "group_id": of.group_id,
        "timer_id": of.id,
        "name": of.name,
        "state": state,
        "available_at": due,
        "attempt": 3,
        "error_title": "ValueError: no such vendor" if state == "failed" else "",
        "created_at": due,
        "changed_at": now,
    }
    return Waiting.objects.create(**{**defaults, **fields})


def order(of: Chain, step: str, state: str = "ready", *, ago: float = 60, **fields: Any) -> ChainOrder:
    """An order of the newest version of a chain that is at a step, with a one-shot timer that has fired."""
    now = clock.now()
    due = now - timedelta(seconds=ago)
    begun_by = timer(
        in_group=of.group, schedule_kind="once", schedule={"at": format_instant(due)}, next_fire_at=None,
        state="finished", action={"kind": "chain", "chain": of.name},
    )  # fmt: skip
    id_ = uuid.UUID(execution_id(to_microseconds(due), begun_by.id))
    defaults = {
        "id": id_, "root": id_, "group": of.group, "chain": of, "version": of.versions.get(version=of.newest),
        "timer_id": begun_by.id, "name": begun_by.name, "step": step, "state": state, "variables": {}, "visits": {},
        "created_at": due, "changed_at": now, "ended_at": now if state == "ended" else None,
    }  # fmt: skip
    return ChainOrder.objects.create(**{**defaults, **fields})


def blocked(of: ChainOrder, on: str, *, capacity: int = 1, ago: float = 0) -> Waiting:
    """The place of an order that waits for a lock, or for room at a step."""
    now = clock.now()
    since = now - timedelta(seconds=ago)
    return Waiting.objects.create(
        id=of.pk, group_id=of.group_id, timer_id=of.timer_id, name=of.name, state="blocked", blocked_on=on,
        blocked_capacity=capacity, available_at=of.created_at, attempt=0, step=of.step, created_at=since,
        changed_at=since,
    )  # fmt: skip


def held(of: ChainOrder, scope: str, node: Node, *, ago: float = 0) -> Claim:
    """The claim of an order that holds a lock, or a place of a step with a limit."""
    claim = Claim.objects.create(
        group_id=of.group_id, node_id=node.pk, worker=1, worker_pid=1, executions=[of.pk],
        claimed_at=clock.now() - timedelta(seconds=ago),
    )  # fmt: skip
    OrderHold.objects.create(scope=scope, order_id=of.pk, fence=claim.pk)
    return claim


def node(name: str = "", *, beat_ago: float = 0.4, lease: float = 10, **fields: Any) -> Node:
    """A living node of two workers whose last heartbeat was `beat_ago` seconds ago."""
    now = clock.now()
    heartbeat_at = now - timedelta(seconds=beat_ago)
    defaults = {
        "name": name or f"node-{next(_numbers)}",
        "incarnation": uuid.uuid4(),
        "host": "machine-1",
        "pid": 4711,
        "state": Node.State.ACTIVE,
        "started_at": now - timedelta(hours=1),
        "heartbeat_at": heartbeat_at,
        "heartbeat_interval": 2.0,
        "lease_expires_at": heartbeat_at + timedelta(seconds=lease),
        "workers": 2,
        "threads": 16,
        "async_slots": 400,
        "slots": 416,
        "version": "0.1.0",
        "handlers": ["tests.noop"],
    }
    return Node.objects.create(**{**defaults, **fields})


def led_pair(mode: str = "distributed") -> tuple[Node, Node]:
    """Two living nodes: node-a leads the default partition; node-b is its backup, where the mode is not distributed."""
    backup = {} if mode == "distributed" else {"mode": "backup", "precedence": 1, "state": Node.State.STANDBY}
    first, second = node("node-a", mode=mode), node("node-b", **backup)
    leadership(first)
    return first, second


def leadership(of: Node, **fields: Any) -> Leadership:
    """The leadership of a node, which has just taken it."""
    now = clock.now()
    defaults = {"epoch": 1, "expires_at": of.lease_expires_at, "since": now, "led_since": now, "has_had_primary": True}
    return Leadership.objects.create(partition=of.partition, node=of, **{**defaults, **fields})


def subscription(name: str = "", *, in_group: TimerGroup | None = None, **fields: Any) -> Subscription:
    """An active broadcast subscription of a group, under its next ordinal."""
    now = clock.now()
    of = in_group or group()
    defaults = {
        "group": of,
        "name": name or f"subscription-{next(_numbers)}",
        "ordinal": of.subscriptions.count() + 1,
        "mode": "broadcast",
        "action": {"handler": "tests.noop"},
        "created_at": now,
        "updated_at": now,
    }
    return Subscription.objects.create(**{**defaults, **fields})


def claim(by: Node, of: Timer, executions: int = 1, **fields: Any) -> Claim:
    """A claim of a node on so many executions of one timer."""
    now = clock.now()
    ids = [execution_id(to_microseconds(now) + number, of.id) for number in range(executions)]
    defaults = {"group_id": of.group_id, "node": by, "worker": 1, "worker_pid": 4712, "claimed_at": now}
    return Claim.objects.create(**{**defaults, "executions": ids, **fields})


def delivered(of: Timer, executions: int = 1, **fields: Any) -> Claim:
    """A consumer's claim of so many executions of one timer: they have begun."""
    now = clock.now()
    ids = [execution_id(to_microseconds(now) + number, of.id) for number in range(executions)]
    defaults = {"group_id": of.group_id, "consumer": "me", "claimed_at": now, "expires_at": now + timedelta(minutes=5)}
    return Claim.objects.create(**{**defaults, "executions": ids, **fields})


def minute(of: TimerGroup, *, ago: int = 1, succeeded: int = 60, by: int = 1, **fields: Any) -> StatsMinute:
    """A row of the minute statistics, `ago` minutes before the present one; all first tries at most 10 ms late."""
    this_minute = clock.now().replace(second=0, microsecond=0)
    lateness = fields.pop("lateness", [succeeded] + [0] * len(LATENESS_BUCKETS_MS))
    return StatsMinute.objects.create(
        minute=this_minute - timedelta(minutes=ago),
        node_id=by,
        group_id=of.id,
        succeeded=succeeded,
        lateness=lateness,
        **fields,
    )


def event(kind: str = "node joined", **fields: Any) -> ClusterEvent:
    """A line of the cluster's diary."""
    return ClusterEvent.objects.create(**{"at": clock.now(), "kind": kind, **fields})


POISON = '{"a":1e131071}'
"""JSON that PostgreSQL holds and Python cannot give back."""


def spoil(row: Model, column: str, text: str = POISON) -> None:
    """Write a column's text as no face would: behind the service's back."""
    table, key = row._meta.db_table, row.pk
    with connection.cursor() as cursor:
        cursor.execute(f'UPDATE "{table}" SET "{column}" = %s WHERE id = %s', (text, key))


LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
