"""Executions that wait: retry or dismiss failed ones, cancel ready ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.db import models, transaction

from timers.exceptions import NotAllowedNow, TimerNotFound
from timers.lifecycle.end_waiting import end_waiting
from timers.lifecycle.retry_waiting import retry_waiting
from timers.models import Waiting
from timers.models.fields import ExactJSONField
from timers.payload import encode

KEEP: Any = object()
"""Marks a payload that was not given: the execution keeps its own."""


def retry_failed(execution: str, *, payload: Any = KEEP, actor: str = "") -> None:
    """Make a failed execution ready again, now, with all the retries of its policy; optionally with another payload.

    Raises TimerNotFound when there is no such execution waiting, NotAllowedNow when it has not failed, when its timer
    is cancelled or gone, and when it had a thousand tries.
    """
    text = None if payload is KEEP else encode(payload)
    with transaction.atomic():
        row = _lock(execution)
        if row.state != Waiting.State.FAILED:
            raise NotAllowedNow(f"execution {execution} is {row.state}; only a failed one can be retried")
        retried = retry_waiting({str(row.id): 0}, f"retried by {actor}" if actor else "retried")
        for why in retried.refused.values():
            raise NotAllowedNow(f"execution {execution} cannot be retried: {why}")
        if text is not None:
            # A JSON null is a payload too; an empty column would mean the timer's.
            row.payload = models.Value(json.loads(text), ExactJSONField())
            row.save(update_fields=["payload"])


def dismiss_failed(executions: Sequence[str], *, reason: str = "", actor: str = "") -> int:
    """Give failed executions up: their final outcome is failed; returns how many there were."""
    why = reason or (f"dismissed by {actor}" if actor else "dismissed")
    return len(end_waiting("state = 'failed' AND id = ANY(%(ids)s::uuid[])", "failed", why, ids=list(executions)))


def cancel_waiting(executions: Sequence[str], *, reason: str = "", actor: str = "") -> int:
    """Cancel executions that wait, ready, queued or failed; returns how many there were."""
    why = reason or (f"cancelled by {actor}" if actor else "cancelled")
    return len(end_waiting("id = ANY(%(ids)s::uuid[])", "cancelled", why, ids=list(executions)))


def cancel_unfailed(timer_id: int, *, reason: str) -> int:
    """Cancel all ready and queued executions of a timer; returns how many there were.

    What a worker is just taking up is in its claim when this returns.
    """
    where = "state IN ('ready', 'queued') AND timer_id = %(timer_id)s"
    return len(end_waiting(where, "cancelled", reason, wait=True, timer_id=timer_id))


def _lock(execution: str) -> Waiting:
    row = Waiting.objects.select_for_update().filter(id=execution).first()
    if row is None:
        raise TimerNotFound(f"no execution {execution} is waiting")
    return row
