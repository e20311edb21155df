"""The demo's groups, timers and chain: creating twice changes nothing; clearing deletes only what the demo created."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.db import transaction

from timerproject.demo.order_chain import CHAIN, GROUP, ensure_chain
from timerproject.demo.order_handlers import ADD_PERIOD, TAG
from timers import clock
from timers.exceptions import NotAllowedNow
from timers.scheduling import cancel_timer, delete_group, ensure_group, get_timers, schedule_many

ACTOR: Final = "timerdemo"

MESSAGE_UUID: Final = str(uuid.uuid5(uuid.NAMESPACE_URL, "https://example.org/timerproject/demo/message"))
MESSAGE_PERIOD: Final = 3
"""Seconds. layline.io's document uses 60, which is too long for a demo."""

GROUPS: Final[Mapping[str, Mapping[str, Any]]] = {
    "vendors": {
        "description": "One vendor of the list is processed every 5 seconds, by whichever worker takes it.",
        "action": {"handler": "vendors.process"},
    },
    "MyTimerGroup": {
        "description": "Messages held under their record's UUID until their receiver can take them.",
        "action": {"handler": "messages.deliver"},
    },
    "reports": {
        "description": "Reports by cron, on the clocks of Berlin.",
        "action": {"handler": "reports.nightly"},
    },
    "reminders": {
        "description": "One-shots.",
        "action": {"handler": "reminders.remind"},
    },
    GROUP: {
        "description": "Orders of a file walk through a chain of steps, each step on whichever worker takes it.",
        "on_finish": "delete",
        "on_failed": "drop",
    },
    "troubles": {
        "description": "What does not go well: retries that help, and one that fails for good.",
        "retry": {"max_retries": 3, "delays": [1, 2, 4]},
    },
}


@dataclass(frozen=True, slots=True)
class Made:
    """One timer of the demo and the result: created, kept, or replaced (it had ended)."""

    group: str
    name: str
    what: str
    result: str


@dataclass(frozen=True, slots=True)
class Cleared:
    """Result of clearing the demo."""

    groups: tuple[str, ...]
    cancelled: int
    """Number of timers that were only cancelled, because their group could not be deleted."""
    kept: tuple[str, ...]
    """Why groups were kept, one sentence each."""


def make() -> list[Made]:
    """Create the demo's groups, timers and chain, all or none; existing ones are kept."""
    requests = _requests()
    with transaction.atomic():
        for name, fields in GROUPS.items():
            ensure_group(name, actor=ACTOR, **fields)
        ensure_chain(ACTOR)
        created = schedule_many(requests, on_conflict="keep", actor=ACTOR)
    return [
        Made(row.group, row.name, request["description"], row.result)
        for row, request in zip(created, requests, strict=True)
    ]


def clear() -> Cleared:
    """Delete the demo's groups; in groups with timers of others, cancel only the demo's timers."""
    deleted: list[str] = []
    kept: list[str] = []
    cancelled = 0
    for group in GROUPS:
        timers = get_timers(group)
        ours = [timer for timer in timers if TAG in timer.tags]
        if not ours:
            continue
        cancelled_here = sum(_cancel(group, timer.name) for timer in ours)
        if len(ours) < len(timers):
            kept.append(f"Group {group} has timers that are not the demo's.")
        else:
            try:
                delete_group(group, force=True, actor=ACTOR)
                deleted.append(group)
                continue
            except NotAllowedNow as reason:
                kept.append(f"Group {group} was kept: {reason}.")
        cancelled += cancelled_here
    return Cleared(tuple(deleted), cancelled, tuple(kept))


def _cancel(group: str, name: str) -> bool:
    try:
        cancel_timer(group, name, reason="the demo was cleared away", actor=ACTOR)
    except NotAllowedNow:
        return False  # it had ended already
    return True


def _requests() -> list[dict[str, Any]]:
    message = {
        "MY_SOURCE": {
            "MY_RECORD_TYPE": "HIGH_PRIORITY",
            "MY_RECORD_UUID": MESSAGE_UUID,
            "MY_RECORD": {"order": 81_734, "customer": "Seven Bridges Glass", "amount": "1249.90", "currency": "EUR"},
        }
    }
    requests: list[dict[str, Any]] = [
        {
            "kind": "fixed_rate", "group": "vendors", "name": "process-a-vendor", "period": 5,
            "description": "ThingWorx's timer: every 5 s one vendor at random; look which node and worker ran it.",
        },
        {
            "kind": "fixed_rate", "group": "MyTimerGroup", "name": MESSAGE_UUID, "period": MESSAGE_PERIOD,
            "start_at": clock.now() + timedelta(seconds=MESSAGE_PERIOD), "payload": message, "until_committed": True,
            "time_zone": "Europe/Berlin",
            "description": "layline.io's held message: discarded at tries 1 and 2, committed at NumberOfTry 3.",
        },
        {
            "kind": "cron", "group": "reports", "name": "nightly", "expression": "30 2 * * *",
            "time_zone": "Europe/Berlin", "description": "A report at 02:30 in Berlin, whatever the clocks do.",
        },
        {
            "kind": "cron", "group": "reports", "name": "every-minute", "expression": "* * * * *",
            "time_zone": "Europe/Berlin", "description": "The same report every minute, so that something shows.",
        },
        {
            "kind": "once", "group": "reminders", "name": "in-30-seconds", "after": 30,
            "payload": "The demo has been running for half a minute.", "description": "A one-shot in 30 s.",
        },
        {
            "kind": "fixed_rate", "group": GROUP, "name": "next-order", "period": ADD_PERIOD,
            "handler": "shop.next_order",
            "description": f"Adds the next order of a file to the chain {CHAIN}: fork, join, approval of large ones.",
        },
        {
            "kind": "fixed_rate", "group": "troubles", "name": "flaky", "period": 10, "handler": "demo.flaky",
            "description": "Fails about every third time and is tried again after 1, 2 and 4 s.",
        },
        {
            "kind": "once", "group": "troubles", "name": "always-fails", "after": 5, "handler": "demo.always_fails",
            "payload": {"invoice": "2025-0117", "lines": ["19.90", "5.00"], "total": "25.00"},
            "description": "Fails 4 times, then waits as failed for a person, its payload kept.",
        },
    ]  # fmt: skip
    return [{**request, "tags": [TAG]} for request in requests]
