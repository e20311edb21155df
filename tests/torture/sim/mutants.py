"""Mutants: planted bugs. Each must violate an invariant within some seeds, or the simulator proves nothing.

They are planted by patching, here and nowhere else: nothing in timers/ knows of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from random import randrange
from typing import Any, Final
from unittest import mock

from django.db import transaction
from django.db.models import QuerySet

from tests.torture.sim import client, node, workload
from tests.torture.sim.scheduler import current
from timers import scheduling
from timers.control import change
from timers.control.call_back_to_cancel import cancel_claimed
from timers.control.executions import cancel_unfailed
from timers.control.find_timer import read_timer
from timers.domain.execution_id import execution_id
from timers.domain.payload import decode
from timers.engine import death, due_timer, finish, fire, group_limits, nodes
from timers.engine.death import Watched
from timers.engine.due import DueWork, Part, ServedGroups
from timers.engine.fence import Held, LockedClaims, lock_claims
from timers.engine.nodes import Beat, Renewed
from timers.engine.outcome import Outcome, Verdict
from timers.engine.waiting_rows import WaitingRow
from timers.models import Timer
from timers.schedules.clock_policy import ClockPolicy

Patch = AbstractContextManager[Any]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A planted bug."""

    name: str
    words: str
    plant: Callable[[], Patch]


def _no_fence() -> Patch:
    def lock(wanted: Held, holder: Any = None, **conditions: Any) -> LockedClaims:
        claims = lock_claims(wanted, holder, **conditions)
        return claims._replace(held={fence: claims.held.get(fence, set()) | ids for fence, ids in wanted.items()})

    return mock.patch.object(finish, "lock_claims", lock)


@contextmanager
def _lease_by_node_clock() -> Iterator[None]:
    def beat(node_id: int, lease: float, report: Beat) -> Renewed | None:
        return nodes.beat(node_id, lease + current().skew, report)

    def watch(me: int, settled: float, _: Any) -> Watched:
        return death.watch_others(me, settled)

    with mock.patch.object(node, "beat", beat), mock.patch.object(node, "watch_others", watch):
        yield


class _CursorGroups(ServedGroups):
    """Looks above the horizon of its last look that found nothing."""

    def with_due_work(
        self,
        now_us: int,
        horizon_us: int,
        low_marks: Mapping[Part, int],
        of_others: Collection[tuple[int, int]] = (),
    ) -> tuple[datetime, list[DueWork]]:
        seen: int | None = getattr(self, "seen_us", None)
        marks = {} if seen is None else {(group, 0, 0): seen for group in workload.group_ids()}
        reading, work = super().with_due_work(now_us, horizon_us, marks, of_others)
        if not any(item.timers for item in work):
            self.seen_us = horizon_us
        return reading, work


@contextmanager
def _claim_without_lock() -> Iterator[None]:
    unlocked = threading.local()
    plain = QuerySet.select_for_update

    def lock_due(*args: Any, limit: int, **conditions: Any) -> Any:
        unlocked.now = True
        try:
            return due_timer.lock_due(*args, limit=limit * 40, **conditions)
        finally:
            unlocked.now = False

    def select_for_update(query: Any, **options: Any) -> Any:
        return query if getattr(unlocked, "now", False) else plain(query, **options)

    with (
        mock.patch.object(fire, "lock_due", lock_due),
        mock.patch.object(QuerySet, "select_for_update", select_for_update),
    ):
        yield


def _random_ids() -> Patch:
    def made(scheduled_us: int, timer_id: int) -> str:
        return execution_id(scheduled_us, timer_id, "schedule", randrange(256))

    return mock.patch.object(due_timer, "execution_id", made)


def _in_waiting(change_row: Callable[[WaitingRow, Outcome], WaitingRow]) -> Patch:
    plain = finish._waiting_row

    def row(outcome: Outcome, verdict: Verdict) -> WaitingRow:
        return change_row(plain(outcome, verdict), outcome)

    return mock.patch.object(finish, "_waiting_row", row)


def _counted_at_result() -> Patch:
    return _in_waiting(lambda row, outcome: row._replace(tried=row.tried - (outcome.word == "lost")))


def _new_id_for_retry() -> Patch:
    def renamed(row: WaitingRow, _: Outcome) -> WaitingRow:
        old = row.execution
        if old.origin != "schedule":
            return row
        new = execution_id(old.scheduled_us, old.timer_id, "schedule", old.attempt)
        return row._replace(execution=replace(old, id=new))

    return _in_waiting(renamed)


def _acknowledged_early() -> Patch:
    def verb(call: Callable[[], Any], acknowledge: Callable[[Any], None]) -> None:
        with transaction.atomic():
            acknowledge(call())

    return mock.patch.object(client, "verb", verb)


def _rescue_ignores_lease() -> Patch:
    def watch(me: int, settled: float, _: Any) -> Watched:
        return Watched([each.node for each in death._live_nodes(settled) if each.node.id != me], None)

    return mock.patch.object(node, "watch_others", watch)


def _fold_fires_twice() -> Patch:
    plain = ClockPolicy.completed

    def completed(policy: ClockPolicy, **facts: Any) -> ClockPolicy:
        return replace(plain(policy, **facts), fold="twice")

    return mock.patch.object(ClockPolicy, "completed", completed)


def _cancel_without_lock() -> Patch:
    def cancel_timer(group: str, name: str) -> change.Cancelled:
        timer = read_timer(group, name)
        unbegun, in_flight = cancel_claimed(timer.id, timer.group_id)
        cancelled = len(unbegun) + cancel_unfailed(timer.id, reason="cancelled")
        Timer.objects.filter(id=timer.id).update(state=Timer.State.CANCELLED, next_fire_at=None, open_execution=None)
        return change.Cancelled(timer, in_flight, cancelled)

    return mock.patch.object(scheduling, "cancel_timer", cancel_timer)


def _poison_stops_batch() -> Patch:
    plain = fire.Batch.take

    def take(batch: fire.Batch, row: Any, rows: Collection[Any], **options: Any) -> None:
        if row.payload is not None:
            decode(row.payload)
        plain(batch, row, rows, **options)  # type: ignore[arg-type]

    return mock.patch.object(fire.Batch, "take", take)


def _limit_without_lock() -> Patch:
    return mock.patch.object(group_limits, "hold_limits", return_value=True)


MUTANTS: Final = (
    Mutant("M1", "no fence check in finish", _no_fence),
    Mutant("M2", "the lease by the node's clock", _lease_by_node_clock),
    Mutant(
        "M3", "a due cursor instead of a scan by state", lambda: mock.patch.object(node, "ServedGroups", _CursorGroups)
    ),
    Mutant("M4", "a claim that locks nothing and ignores its limit", _claim_without_lock),
    Mutant("M5", "random execution ids", _random_ids),
    Mutant("M6", "the attempt counted at the result", _counted_at_result),
    Mutant("M7", "acknowledged before the commit", _acknowledged_early),
    Mutant("M8", "a rescue that ignores the lease", _rescue_ignores_lease),
    Mutant("M9", "a cron instant in the fold fires twice", _fold_fires_twice),
    Mutant("M10", "a cancel without the row lock", _cancel_without_lock),
    Mutant("M11", "a new execution id for each retry", _new_id_for_retry),
    Mutant("M12", "one poison row stops the batch", _poison_stops_batch),
    Mutant("M13", "a limit that is counted without the lock of its group", _limit_without_lock),
)
