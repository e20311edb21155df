"""Create one more run of a timer in addition to its schedule: run now, and replay."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from random import getrandbits
from typing import Final

from django.db import models

from timers import clock
from timers.control.action_checks import check_action_known
from timers.control.quotas import check_payload
from timers.database import connection
from timers.domain.execution_id import MAX_TRIES, ORDINALS, OVERLAPPING, execution_id, try_id, with_ordinal
from timers.domain.payload import Unreadable
from timers.domain.policies import OVERLAP_POLICIES, Policies
from timers.engine.execution import served
from timers.engine.queued import MADE_UP
from timers.engine.replace import make_way
from timers.engine.subscribers import Subscriber, matching, read_subscribers, receivers
from timers.engine.wakeup import wake_if_soon
from timers.exceptions import InvalidRequest, NotAllowedNow
from timers.models import Timer, Waiting
from timers.models.claimed import claimed_executions
from timers.models.fields import ExactJSONField
from timers.schedules.instant import to_microseconds

_TRIES: Final = 1000


def make_run(
    timer: Timer,
    origin: str,
    at: datetime,
    *,
    now: datetime,
    payload: str | None,
    reason: str,
    only_for: int = 0,
    overlap: str | None = None,
) -> str:
    """Create an execution of a locked timer for an instant of its group, and return its id.

    If the group has subscriptions, each one that would receive a fire gets a run, and the id of the first run is
    returned.

    Args:
        timer: the locked timer.
        origin: origin of the execution: "manual" or "replay".
        at: when it is due.
        now: current time of the group.
        payload: JSON text; None: the timer's payload.
        reason: why, for the execution's record.
        only_for: ordinal of the only subscription that gets a run, if it still exists; 0: all that match.
        overlap: overlap policy of this run; None: the timer's.

    Raises:
        NotAllowedNow: the timer is cancelled, no subscription matches, or the overlap policy leaves no room.
        InvalidRequest: no process could run the action.
    """
    policy = overlap_of(timer, overlap)
    if timer.state == Timer.State.CANCELLED:
        raise NotAllowedNow(f"timer {timer.name!r} is cancelled")
    check_payload(timer.group, payload)
    check_action_known(None if timer.action is None else json.dumps(timer.action), timer.group)
    matches = subscribers_for(timer, payload)
    ordinals = [only_for] if only_for in {each.ordinal for each in matches or ()} else None
    if ordinals is None:
        ordinals = ordinals_of(matches, f"{timer.id}/{getrandbits(32)}")
    # A run that is due later is checked against the executions that are open then.
    waits = policy != "allow" and at <= now and not _has_room(timer, policy, now)
    state = Waiting.State.QUEUED if waits else Waiting.State.READY
    ids = _free_ids(timer, origin, at, len(ordinals), OVERLAPPING if policy == "allow" else 0)
    for id_, ordinal in zip(ids, ordinals, strict=True):
        _insert(timer, id_, origin, at, payload, reason, ordinal, state)
    wake_if_soon([at], now)
    return ids[0]


def overlap_of(timer: Timer, given: str | None) -> str:
    """Return the overlap policy of a run: the given one, else the timer's. Raise InvalidRequest if it is invalid."""
    if given is not None and given not in OVERLAP_POLICIES:
        raise InvalidRequest("overlap", f"must be one of {', '.join(OVERLAP_POLICIES)}", given=given)
    if given is not None:
        return given
    try:
        return timer.policies().overlap_policy
    except InvalidRequest:
        return Policies().overlap_policy


def _has_room(timer: Timer, policy: str, now: datetime) -> bool:
    """Return whether a run may begin now; False: it is queued behind the open execution.

    Raise NotAllowedNow if the policy permits neither.
    """
    unended = unended_of(timer, now)
    if not unended:
        return True
    if policy == "skip":
        raise NotAllowedNow(
            f"timer {timer.name!r}: execution {unended[0]} has not ended, and the overlap policy is skip."
            ' Try again when it has ended, or give overlap="queue" or "allow".'
        )
    if policy == "queue":
        most = _max_queued(timer)
        behind = Waiting.objects.filter(timer_id=timer.id, state=Waiting.State.QUEUED, attempt=0)
        if behind.exclude(origin="backfill").exclude(reason=MADE_UP).count() >= most:
            raise NotAllowedNow(
                f"timer {timer.name!r}: execution {unended[0]} has not ended, and its queue is full"
                f' (max_queued is {most:,}). Try again later, or give overlap="allow".'
            )
    elif timer.open_execution is not None:
        (group,) = served([timer.group])
        make_way({str(timer.open_execution): timer.id}, group)
        timer.refresh_from_db(fields=["open_execution"])
    return timer.open_execution is None


def unended_of(timer: Timer, now: datetime) -> list[str]:
    """Return the executions of a locked timer that a further one would overlap with: open, running, or about to run."""
    found = [] if timer.open_execution is None else [str(timer.open_execution)]
    ready = Waiting.objects.filter(timer_id=timer.id, state=Waiting.State.READY)
    about_to_run = models.Q(available_at__lte=now)
    if timer.schedule_kind == "once" and _retry_blocks(timer):
        about_to_run |= models.Q(origin="schedule", attempt__gt=0)
    waiting = ready.filter(about_to_run).values_list("id", flat=True)
    return [*found, *claimed_executions(timer), *map(str, waiting)]


def _max_queued(timer: Timer) -> int:
    try:
        return timer.policies().max_queued
    except InvalidRequest:
        return Policies().max_queued


def _retry_blocks(timer: Timer) -> bool:
    try:
        return timer.policies().retry_blocks
    except InvalidRequest:
        return True


def ordinals_of(matches: Sequence[Subscriber] | None, execution: str) -> list[int]:
    """Return the ordinals of the matching subscriptions that get a run each; [0]: the run is for no subscription."""
    return [0] if matches is None else [each.ordinal for each in receivers(matches, execution)]


def subscribers_for(timer: Timer, payload: str | None) -> tuple[Subscriber, ...] | None:
    """Return the subscriptions that receive runs of the timer with this payload (JSON text; None: the timer's own).

    None: the group has no subscriptions, or the timer has an action of its own. Raise NotAllowedNow if none matches.
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
    timer: Timer,
    id_: str,
    origin: str,
    at: datetime,
    payload: str | None,
    reason: str,
    ordinal: int,
    state: Waiting.State,
) -> None:
    # By the database clock, of sandboxes too: nodes and queries compare it across groups.
    now = clock.now()
    row = Waiting(
        id=id_,
        subscription=ordinal,
        group_id=timer.group_id,
        timer_id=timer.id,
        name=timer.name,
        state=state,
        available_at=at,
        origin=origin,
        reason=reason,
        limit_key=timer.limit_key,
        created_at=now,
        changed_at=now,
    )
    if payload is not None:
        # A JSON null is a payload too; an empty column would mean the timer's payload.
        row.payload = models.Value(json.loads(payload), ExactJSONField())
    row.save(force_insert=True)


_IS_TAKEN: Final = """
SELECT EXISTS (SELECT 1 FROM timers_waiting WHERE id BETWEEN %(first)s AND %(last)s)
    OR EXISTS (SELECT 1 FROM timers_attempt WHERE id BETWEEN %(first)s AND %(last)s)
    OR EXISTS (SELECT 1 FROM timers_claim c, unnest(c.executions) AS e(id)
               WHERE c.group_id = %(group)s AND e.id BETWEEN %(first)s::uuid AND %(last)s::uuid)
"""


def _free_ids(timer: Timer, origin: str, at: datetime, count: int, first_ordinal: int) -> list[str]:
    """Return ids of an occurrence that no other run has.

    Two runs can have the same microsecond if a clock is frozen. The instant is then a few microseconds later.
    """
    if count > OVERLAPPING:
        raise NotAllowedNow(f"timer {timer.name!r}: a run can be for at most {OVERLAPPING} subscriptions, not {count}")
    for microseconds in range(_TRIES):
        occurrence = execution_id(to_microseconds(at) + microseconds, timer.id, origin)
        last = try_id(with_ordinal(occurrence, ORDINALS - 1), MAX_TRIES)
        with connection.cursor() as cursor:
            cursor.execute(_IS_TAKEN, {"first": occurrence, "last": last, "group": timer.group_id})
            if not cursor.fetchone()[0]:
                return [with_ordinal(occurrence, first_ordinal + place) for place in range(count)]
    raise NotAllowedNow(
        f"timer {timer.name!r} has been run too often at {at.isoformat()}: at most {_TRIES:,} runs have one instant"
    )
