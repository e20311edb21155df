"""One more run of a timer beside its schedule: run now, and replay."""

from __future__ import annotations

import json
from datetime import datetime
from random import getrandbits
from typing import Final

from django.db import connection, models

from timers.exceptions import NotAllowedNow
from timers.execution_id import execution_id
from timers.lifecycle.control.quotas import check_payload
from timers.lifecycle.control.spec import check_action_known
from timers.lifecycle.wakeup import wake_if_soon
from timers.models import Timer, Waiting
from timers.models.fields import ExactJSONField
from timers.schedules.instant import to_microseconds

_TRIES: Final = 1000


def make_run(timer: Timer, origin: str, at: datetime, *, now: datetime, payload: str | None, reason: str) -> str:
    """Make an execution of a locked timer ready for an instant of its group; returns its id.

    `payload`: JSON text, None: the timer's. `now`: the group's. Raises NotAllowedNow for a cancelled timer, SpecError
    for an action that nobody could run.
    """
    if timer.state == Timer.State.CANCELLED:
        raise NotAllowedNow(f"timer {timer.name!r} is cancelled")
    check_payload(timer.group, payload)
    check_action_known(None if timer.action is None else json.dumps(timer.action), timer.group)
    row = Waiting(
        id=_free_id(timer, origin, at),
        group_id=timer.group_id,
        timer_id=timer.id,
        name=timer.name,
        state=Waiting.State.READY,
        available_at=at,
        origin=origin,
        reason=reason,
        created_at=now,
        changed_at=now,
    )
    if payload is not None:
        # A JSON null is a payload too; an empty column would mean the timer's.
        row.payload = models.Value(json.loads(payload), ExactJSONField())
    row.save(force_insert=True)
    wake_if_soon([at], now)
    return str(row.id)


_IS_TAKEN: Final = """
SELECT EXISTS (SELECT 1 FROM timers_waiting WHERE id = %(id)s)
    OR EXISTS (SELECT 1 FROM timers_attempt WHERE id = %(id)s)
    OR EXISTS (SELECT 1 FROM timers_claim WHERE group_id = %(group)s AND %(id)s::uuid = ANY(executions))
"""


def _free_id(timer: Timer, origin: str, at: datetime) -> str:
    """An id that no run of the same microsecond has: there may be some where a clock is frozen."""
    for _ in range(_TRIES):
        candidate = execution_id(to_microseconds(at), timer.id, origin, getrandbits(8))
        with connection.cursor() as cursor:
            cursor.execute(_IS_TAKEN, {"id": candidate, "group": timer.group_id})
            if not cursor.fetchone()[0]:
                return candidate
    raise NotAllowedNow(f"timer {timer.name!r} has been run too often at {at.isoformat()}")
