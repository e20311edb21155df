"""Rescue: recover executions that dead nodes and dead workers had claimed.

An execution that had started (or may have) counts as a lost attempt, so a handler that kills its process ends after
max_retries. One that certainly had not started is released, and its attempt is not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Min

from timers.database import transaction
from timers.domain.execution_id import try_id
from timers.engine import waiting_rows
from timers.engine.advance import followed, lock_timers
from timers.engine.claimed import load_claimed
from timers.engine.delete_finished import delete_finished
from timers.engine.execution import AnyHolder, Execution, Holder
from timers.engine.fence import Held, let_go, lock_claims
from timers.engine.finish import settle
from timers.engine.orders.step_end import StepEnds, gone_elsewhere, is_of_order
from timers.engine.outcome import Outcome, judge
from timers.engine.waiting_rows import WaitingRow
from timers.engine.wakeup import wake_if_soon
from timers.models import Attempt, Claim
from timers.schedules.instant import from_microseconds

BATCH = 10
"""Claims per transaction: a rescue of thousands of executions never locks for long."""
FIRST_CONSUMER_LEASE = "(SELECT min(c.expires_at) FROM timers_claim c)"
"""SQL: when the first consumer lease expires; NULL if no consumer has a claim."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What is known about one execution of a dead holder. Instants are microseconds since 1970 UTC."""

    started_us: int | None
    """None: it certainly had not started."""
    word: str = "lost"
    """lost, or timeout for one that was killed because it ran over its limit."""
    reason: str = ""
    forgiven: bool = False
    """Whether it was killed because of another's error: the attempt is recorded but does not count."""


@dataclass(frozen=True, slots=True)
class Rescued:
    """Number of executions by their new state."""

    ready: int = 0
    failed: int = 0
    given_back: int = 0
    cancelled: int = 0
    """Their cancellation had been requested."""

    def __add__(self, other: Rescued) -> Rescued:
        return Rescued(
            self.ready + other.ready,
            self.failed + other.failed,
            self.given_back + other.given_back,
            self.cancelled + other.cancelled,
        )

    @property
    def total(self) -> int:
        """Number of all rescued executions."""
        return self.ready + self.failed + self.given_back + self.cancelled


def rescue_node(node_id: int, now_us: int, reason: str) -> Rescued:
    """Rescue all claims of a dead node; it is unknown what had started, so all attempts count.

    Args:
        node_id: the node.
        now_us: microseconds by the database clock.
        reason: recorded with the lost attempts.
    """
    fate = Fate(started_us=None, reason=reason)
    return _rescue({"node_id": node_id}, lambda _: fate, now_us, may_have_started=True)


def rescue_worker(holder: Holder, fates: Mapping[str, Fate], now_us: int, *, only_unstarted: bool = False) -> Rescued:
    """Rescue the claims of a worker process of this node.

    Args:
        holder: the worker process.
        fates: execution id -> what is known, for those that started.
        now_us: microseconds since 1970 UTC.
        only_unstarted: the process stays alive to end what it has started; the rest is released.
    """
    unstarted = Fate(started_us=None)
    return _rescue(
        {"node_id": holder.node_id, "worker_pid": holder.worker_pid},
        lambda execution: fates.get(execution, unstarted),
        now_us,
        may_have_started=False,
        leave=set(fates) if only_unstarted else set(),
    )


def rescue_orphans(holder: Holder, known: Collection[int], now_us: int) -> Rescued:
    """Release executions that this worker claimed without knowing: a fire was committed but its response was lost.

    Call it in the thread that claims, so that no claim is in progress.

    Args:
        holder: the worker process.
        known: the fences that the worker knows.
        now_us: microseconds since 1970 UTC.
    """
    unstarted = Fate(started_us=None)
    return _rescue(
        {"node_id": holder.node_id, "worker_pid": holder.worker_pid},
        lambda _: unstarted,
        now_us,
        may_have_started=False,
        known=known,
    )


def rescue_expired(now_us: int) -> tuple[Rescued, float | None]:
    """Rescue consumers' claims whose lease has expired; also return the seconds until the next expiry, if any."""
    now, rescued = from_microseconds(now_us), Rescued()
    first = _first_consumer_lease()
    if first is not None and first <= now:
        fate = Fate(started_us=None, reason="the consumer's lease ended")
        rescued = _rescue({"expires_at__lte": now}, lambda _: fate, now_us, may_have_started=True, expired_us=now_us)
        first = _first_consumer_lease(expires_at__gt=now)
    return rescued, None if first is None else (first - now).total_seconds()


def _first_consumer_lease(**condition: datetime) -> datetime | None:
    """Return when the first consumer lease expires."""
    first: datetime | None = Claim.objects.filter(**condition).aggregate(first=Min("expires_at"))["first"]
    return first


def _rescue(
    whose: Mapping[str, Any],
    fate_of: Callable[[str], Fate],
    now_us: int,
    *,
    may_have_started: bool,
    leave: Iterable[str] = (),
    known: Collection[int] = (),
    expired_us: int | None = None,
) -> Rescued:
    left = frozenset(leave)
    after, total = 0, Rescued()
    while True:
        with transaction.atomic():
            rows = Claim.objects.filter(**whose, id__gt=after).exclude(id__in=known).order_by("id")
            ids = list(rows.values_list("id", flat=True)[:BATCH])
            if not ids:
                return total
            total += _rescue_batch(ids, fate_of, now_us, may_have_started, left, expired_us)
        after = ids[-1]


def _rescue_batch(
    claim_ids: list[int],
    fate_of: Callable[[str], Fate],
    now_us: int,
    may_have_started: bool,
    leave: frozenset[str],
    expired_us: int | None,
) -> Rescued:
    # Read first, lock timers, then lock the claims and keep what they still contain, as the lock order requires.
    executions = [execution for execution in load_claimed(claim_ids) if execution[0].id not in leave]
    timers = lock_timers(followed(execution for execution, _ in executions))
    of_orders = [execution for execution, _ in executions if is_of_order(execution)]
    ends = StepEnds.lock(of_orders) if of_orders else None
    held, revoked, *_ = lock_claims(claim_ids, expired_us=expired_us)
    ours = [(execution, holder) for execution, holder in executions if execution.id in held.get(execution.fence, ())]
    elsewhere = gone_elsewhere(of_orders) if of_orders else set()
    lost_before = _lost_before([execution for execution, _ in ours])
    given_back: list[WaitingRow] = []
    leaving: Held = {}
    ready = failed = cancelled = 0
    by_holder: dict[AnyHolder, list[Any]] = {}
    for execution, holder in ours:
        leaving.setdefault(execution.fence, set()).add(execution.id)
        fate = fate_of(execution.id)
        is_revoked = execution.id in revoked
        is_wanted = not is_revoked and execution.id not in elsewhere
        if fate.started_us is None and not may_have_started and is_wanted:
            given_back.append(waiting_rows.unbegun(execution))
            continue
        outcome = Outcome(
            execution,
            "timeout" if fate.word == "timeout" else "lost",
            fate.started_us,
            now_us,
            reason=fate.reason,
            error_title=fate.reason,
            forgiven=fate.forgiven,
            lost_before=execution.id in lost_before,
            revoked_because=revoked.get(execution.id, ""),
        )
        verdict = None if ends is None else ends.judge(outcome)
        if verdict is None:
            verdict = judge(outcome, now_us, revoked=is_revoked)
        by_holder.setdefault(holder, []).append((outcome, verdict))
        ready += verdict.next == "again"
        cancelled += verdict.next == "cancel"
        failed += verdict.next in ("park", "drop")
    # Insert first: the end of another branch may make these orders move on.
    waiting_rows.insert(given_back, now_us)
    over = [timer for holder, verdicts in by_holder.items() for timer in settle(holder, verdicts, timers, now_us, ends)]
    let_go(held, leaving)
    delete_finished(over, ended=True)
    now = from_microseconds(now_us)
    wake_if_soon([now], now)
    return Rescued(ready, failed, len(given_back), cancelled)


def _lost_before(executions: Iterable[Execution]) -> set[str]:
    """Return those whose attempt before the current one was lost as well."""
    before = {
        try_id(execution.id, execution.attempt - 1): execution.id for execution in executions if execution.attempt > 1
    }
    if not before:
        return set()
    lost = Attempt.objects.filter(id__in=list(before), outcome="lost").values_list("id", flat=True)
    return {before[str(row)] for row in lost}
