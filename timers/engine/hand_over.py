"""Hand over: move executions waiting for a paused or deleted subscription to subscriptions that can take them.

Executions of a queue subscription go to another one that matches; those of a paused one stay if there is none.
Executions of a deleted one that no other can take are cancelled. Control hands over when the subscription is paused or
deleted; housekeeping hands over executions that were running at that moment and came back to be retried.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.db.models import F, QuerySet, TextField
from django.db.models.functions import Cast, Coalesce

from timers import clock
from timers.database import connection, transaction
from timers.domain.payload import decode
from timers.engine.advance import lock_timers
from timers.engine.arrays import plain_array
from timers.engine.end_waiting import end_waiting
from timers.engine.subscribers import Subscriber, choose, matching, read_subscribers
from timers.engine.wakeup import wake_if_soon
from timers.models import Subscription, Waiting

BATCH: Final = 500
MOST: Final = 5000
"""Maximum number of executions of one subscription that one call looks at."""

_LEFT_BEHIND: Final = """
SELECT s.id FROM timers_subscription s, LATERAL (
    SELECT 1 FROM timers_waiting w WHERE w.group_id = s.group_id AND w.subscription = s.ordinal AND w.state = 'ready'
    ORDER BY w.available_at LIMIT 1) waits
WHERE s.state = 'deleted' OR s.state = 'paused' AND s.mode = 'queue'
ORDER BY s.id
"""


@dataclass(frozen=True, slots=True)
class HandedOver:
    """Result of handing over executions that waited for one subscription."""

    moved: int = 0
    """Number of executions that moved to other subscriptions."""
    cancelled: int = 0

    def __add__(self, other: HandedOver) -> HandedOver:
        return HandedOver(self.moved + other.moved, self.cancelled + other.cancelled)


def hand_over_left_behind() -> HandedOver:
    """Hand over executions waiting for any paused or deleted subscription."""
    with connection.cursor() as cursor:
        cursor.execute(_LEFT_BEHIND)
        ids = [subscription for (subscription,) in cursor.fetchall()]
    return sum((hand_over(row) for row in Subscription.objects.filter(id__in=ids)), HandedOver())


def hand_over(row: Subscription, reason: str = "") -> HandedOver:
    """Hand over executions waiting for one subscription; of a queue one up to 5,000, the rest with a later call.

    `reason` is recorded with cancelled executions.
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
                # Before the rows, as the lock order requires. Executions that no other can take end, and advance their
                # timer.
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
    """Cancel all executions waiting for a subscription, except failed ones; return their number."""
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
    """Return those of the executions that still wait and are not being claimed."""
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
