"""Hand over: what waits for a subscription that is paused or deleted goes to those that can take it.

Executions of a queue subscription go to another one that matches; a paused one's stay where there is none. What waits
for a deleted one that nobody else may take is cancelled. Control does this when the subscription is paused or deleted;
housekeeping does it for the rest: what was under way at that moment and came back for another try.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import F, QuerySet, TextField
from django.db.models.functions import Cast, Coalesce

from timers import clock
from timers.domain.payload import decode
from timers.engine.advance import lock_timers
from timers.engine.arrays import plain_array
from timers.engine.end_waiting import end_waiting
from timers.engine.subscribers import Subscriber, choose, matching, read_subscribers
from timers.engine.wakeup import wake_if_soon
from timers.models import Subscription, Waiting

BATCH: Final = 500
MOST: Final = 5000
"""Executions of one subscription that one call looks at."""

_LEFT_BEHIND: Final = """
SELECT s.id FROM timers_subscription s, LATERAL (
    SELECT 1 FROM timers_waiting w WHERE w.group_id = s.group_id AND w.subscription = s.ordinal AND w.state = 'ready'
    ORDER BY w.available_at LIMIT 1) waits
WHERE s.state = 'deleted' OR s.state = 'paused' AND s.mode = 'queue'
ORDER BY s.id
"""


@dataclass(frozen=True, slots=True)
class HandedOver:
    """What became of executions that waited for one subscription."""

    moved: int = 0
    """They go to other subscriptions."""
    cancelled: int = 0

    def __add__(self, other: HandedOver) -> HandedOver:
        return HandedOver(self.moved + other.moved, self.cancelled + other.cancelled)


def hand_over_left_behind() -> HandedOver:
    """Hand over what waits for any subscription that is paused or deleted."""
    with connection.cursor() as cursor:
        cursor.execute(_LEFT_BEHIND)
        ids = [subscription for (subscription,) in cursor.fetchall()]
    return sum((hand_over(row) for row in Subscription.objects.filter(id__in=ids)), HandedOver())


def hand_over(row: Subscription, reason: str = "") -> HandedOver:
    """Hand over what waits for one subscription, of a queue one up to 5,000 executions; the rest comes with a later
    call.
    """
    why = reason or f"its subscription {row.name} was deleted"
    is_deleted = row.state == Subscription.State.DELETED
    candidates = [
        each
        for each in read_subscribers([row.group_id]).get(row.group_id, ())
        if each.is_queue and each.ordinal != row.ordinal and (each.is_active or is_deleted)
    ]
    if row.mode == Subscription.Mode.BROADCAST or not candidates:
        return HandedOver(cancelled=cancel_all(row, why) if is_deleted else 0)
    done, after = HandedOver(), "00000000-0000-0000-0000-000000000000"
    for _ in range(MOST // BATCH):
        with transaction.atomic():
            batch = _next_batch(row, after)
            if not batch:
                break
            after = str(batch[-1][0])
            if is_deleted:
                # Before the rows: the order of all locks. What nobody may take ends, and moves its timer.
                lock_timers(timer for _, timer in batch)
            found = _lock_rows(row, [execution for execution, _ in batch])
            chosen = {str(each["id"]): _taker(each, candidates) for each in found}
            moved = _move({execution: taker.ordinal for execution, taker in chosen.items() if taker is not None})
            nobodys = [execution for execution, taker in chosen.items() if taker is None]
            cancelled = 0
            if nobodys and is_deleted:
                cancelled = len(end_waiting("id = ANY(%(ids)s::uuid[])", "cancelled", why, ids=nobodys))
            done += HandedOver(moved, cancelled)
    return done


def cancel_all(row: Subscription, reason: str) -> int:
    """Cancel all that waits for a subscription, but what has failed; returns how many executions there were."""
    where = "group_id = %(group)s AND subscription = %(ordinal)s AND state IN ('ready', 'queued')"
    return len(end_waiting(where, "cancelled", reason, group=row.group_id, ordinal=row.ordinal))


def _unfailed(row: Subscription) -> QuerySet[Waiting]:
    return Waiting.objects.filter(
        group_id=row.group_id, subscription=row.ordinal, state__in=[Waiting.State.READY, Waiting.State.QUEUED]
    )


def _next_batch(row: Subscription, after: str) -> list[tuple[Any, int]]:
    found = _unfailed(row).filter(id__gt=after, timer_id__isnull=False).order_by("id")
    return [(execution, timer or 0) for execution, timer in found.values_list("id", "timer_id")[:BATCH]]


def _lock_rows(row: Subscription, executions: list[Any]) -> list[dict[str, Any]]:
    """Those of the executions that still wait, and that nobody is just taking up."""
    locked = _unfailed(row).filter(id__in=executions).order_by("id").select_for_update(skip_locked=True, of=("self",))
    rows: list[Any] = list(
        locked.values(
            "id",
            text=Coalesce(Cast(F("payload"), TextField()), Cast(F("timer__payload"), TextField())),
            tags=F("timer__tags"),
        )
    )
    return rows


def _taker(row: dict[str, Any], candidates: list[Subscriber]) -> Subscriber | None:
    try:
        payload = None if row["text"] is None else decode(row["text"])
    except Exception:  # noqa: BLE001 - it fails at whoever takes it, with its reason
        return candidates[0]
    return choose(matching(candidates, row["tags"] or (), payload), str(row["id"]))


def _move(ordinals: dict[str, int]) -> int:
    if not ordinals:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE timers_waiting w SET subscription = u.ordinal, changed_at = timers_now()"
            " FROM unnest(%s::uuid[], %s::int[]) AS u(id, ordinal) WHERE w.id = u.id",
            (plain_array(ordinals), plain_array(ordinals.values())),
        )
    now = clock.now()
    wake_if_soon([now], now)
    return len(ordinals)
