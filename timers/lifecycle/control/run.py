"""One more run of a timer beside its schedule: run now, and replay."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from random import getrandbits
from typing import Final

from django.db import connection, models

from timers import clock
from timers.exceptions import NotAllowedNow
from timers.execution_id import execution_id
from timers.lifecycle.control.action_checks import check_action_known
from timers.lifecycle.control.quotas import check_payload
from timers.lifecycle.subscribers import Subscriber, matching, read_subscribers, receivers
from timers.lifecycle.wakeup import wake_if_soon
from timers.models import Timer, Waiting
from timers.models.fields import ExactJSONField
from timers.payload import Unreadable
from timers.schedules.instant import to_microseconds

_TRIES: Final = 1000


def make_run(
    timer: Timer, origin: str, at: datetime, *, now: datetime, payload: str | None, reason: str, only_for: int = 0
) -> str:
    """Make an execution of a locked timer ready for an instant of its group; returns its id.

    `payload`: JSON text, None: the timer's. `now`: the group's. Where the group has subscriptions, each that would get
    a fire gets a run, and the first one's id is returned; `only_for`: none but the one of this ordinal, if it lives.
    Raises NotAllowedNow for a cancelled timer and where no subscription matches, SpecError for an action that nobody
    could run.
    """
    if timer.state == Timer.State.CANCELLED:
        raise NotAllowedNow(f"timer {timer.name!r} is cancelled")
    check_payload(timer.group, payload)
    check_action_known(None if timer.action is None else json.dumps(timer.action), timer.group)
    matches = subscribers_for(timer, payload)
    ordinals = [only_for] if only_for in {each.ordinal for each in matches or ()} else None
    if ordinals is None:
        ordinals = ordinals_of(matches, f"{timer.id}/{getrandbits(32)}")
    ids = [_insert(timer, origin, at, now, payload, reason, ordinal) for ordinal in ordinals]
    wake_if_soon([at], now)
    return ids[0]


def ordinals_of(matches: Sequence[Subscriber] | None, execution: str) -> list[int]:
    """The subscriptions of those that match which get a run, each an execution of its own; [0]: it is for none."""
    return [0] if matches is None else [each.ordinal for each in receivers(matches, execution)]


def subscribers_for(timer: Timer, payload: str | None) -> tuple[Subscriber, ...] | None:
    """The subscriptions that runs of the timer with this payload (JSON text, None: its own) are for.

    None: the group has none, or the timer an action of its own. Raises NotAllowedNow where none matches.
    """
    subscribers = read_subscribers([timer.group_id]).get(timer.group_id, ())
    if not subscribers or timer.action is not None:
        return None
    value = timer.payload if payload is None else json.loads(payload)
    if isinstance(value, Unreadable):
        raise NotAllowedNow(f"the payload of timer {timer.name!r} cannot be read ({value.reason}); give another one")
    found = matching(subscribers, timer.tags, value)
    if not found:
        raise NotAllowedNow(f"timer {timer.name!r} is for none of the group's subscriptions: no filter lets it through")
    return found


def _insert(
    timer: Timer, origin: str, at: datetime, now: datetime, payload: str | None, reason: str, ordinal: int
) -> str:
    row = Waiting(
        id=_free_id(timer, origin, at),
        subscription=ordinal,
        group_id=timer.group_id,
        timer_id=timer.id,
        name=timer.name,
        state=Waiting.State.READY,
        available_at=at,
        origin=origin,
        reason=reason,
        created_at=now,
        changed_at=clock.now(),
    )
    if payload is not None:
        # A JSON null is a payload too; an empty column would mean the timer's.
        row.payload = models.Value(json.loads(payload), ExactJSONField())
    row.save(force_insert=True)
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
