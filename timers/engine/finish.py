"""Finish: record a batch of outcomes, fenced by the current claim, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from timers.database import transaction
from timers.engine import ledger, waiting_rows
from timers.engine.advance import LockedTimer, busy_timers, follow_timers, followed, lock_timers
from timers.engine.delete_finished import delete_finished
from timers.engine.errors import fingerprint
from timers.engine.execution import AnyHolder, Execution
from timers.engine.fence import by_fence, let_go, lock_claims
from timers.engine.group_limits import wake_for_room
from timers.engine.orders.continuing import Continuing
from timers.engine.orders.step_end import StepEnds, is_of_order
from timers.engine.outcome import Outcome, Verdict, cancelled_because, judge
from timers.engine.waiting_rows import WaitingRow


@dataclass(slots=True)
class Finished:
    """Result of finishing a batch of outcomes."""

    verdicts: list[tuple[Outcome, Verdict]] = field(default_factory=list)
    refused: list[Outcome] = field(default_factory=list)
    """Outcomes without effect, because their execution had left the claim (rescued, revoked)."""
    deferred: list[Outcome] = field(default_factory=list)
    """Outcomes whose timer another transaction has locked: they must be finished again a little later."""
    continued: list[Execution] = field(default_factory=list)
    """Next steps of orders, which the holder has claimed with the end of the step before."""


def _no_continuing() -> None:
    return None


def finish(
    holder: AnyHolder,
    outcomes: Sequence[Outcome],
    now_us: int,
    continuing: Callable[[], Continuing | None] = _no_continuing,
) -> Finished:
    """Record a batch of outcomes of executions that the holder claimed.

    It is safe to repeat after an error: executions finished by a first, unacknowledged commit are no longer in the
    claim.

    Args:
        holder: the worker or consumer.
        outcomes: the outcomes.
        now_us: microseconds since 1970 UTC, by the database clock.
        continuing: called if steps of orders end; returns what claims their next steps, None if nothing does.
    """
    finished = Finished()
    with transaction.atomic():
        timers: dict[int, LockedTimer] = {}
        outcomes = _lock_followed(outcomes, timers, finished)
        ends, outcomes = _lock_orders(outcomes, finished)
        wanted = by_fence(outcome.execution for outcome in outcomes)
        held, revoked, awaited, is_limited = lock_claims(wanted, holder)
        if awaited:
            for outcome in outcomes:
                outcome.execution.follows |= outcome.execution.id in awaited
            # Elsewhere timers are locked before claims; here locking does not wait for them, so there is no deadlock.
            outcomes = _lock_followed(outcomes, timers, finished)
            wanted = by_fence(outcome.execution for outcome in outcomes)
        for outcome in outcomes:
            execution = outcome.execution
            if execution.id in held.get(execution.fence, ()):
                outcome.revoked_because = revoked.get(execution.id, "")
                is_revoked = execution.id in revoked
                verdict = None if ends is None else ends.judge(outcome)
                if verdict is None:
                    verdict = judge(outcome, now_us, revoked=is_revoked)
                finished.verdicts.append((outcome, verdict))
            else:
                finished.refused.append(outcome)
        over = settle(holder, finished.verdicts, timers, now_us, ends, keyed=is_limited, continuing=continuing)
        let_go(held, {fence: ids & held[fence] for fence, ids in wanted.items() if fence in held})
        if finished.verdicts:
            wake_for_room((outcome.execution for outcome, _ in finished.verdicts), is_limited)
        delete_finished(over, ended=True)
        if ends is not None:
            finished.continued = ends.continued
    return finished


def _lock_followed(
    outcomes: Sequence[Outcome], timers: dict[int, LockedTimer], finished: Finished
) -> Sequence[Outcome]:
    """Lock the timers that advance with these outcomes, in addition to those already locked; return lockable outcomes.

    Never waits: outcomes of a timer that another transaction has locked are deferred.
    """
    wanted = followed(outcome.execution for outcome in outcomes).difference(timers)
    timers |= lock_timers(wanted, skip_locked=True)
    busy = busy_timers(wanted, timers)
    if not busy:
        return outcomes
    finished.deferred += [outcome for outcome in outcomes if outcome.execution.timer_id in busy]
    return [outcome for outcome in outcomes if outcome.execution.timer_id not in busy]


def _lock_orders(outcomes: Sequence[Outcome], finished: Finished) -> tuple[StepEnds | None, Sequence[Outcome]]:
    """Lock the trees of the orders among these. Never waits: outcomes of trees locked elsewhere are deferred."""
    of_orders = [outcome.execution for outcome in outcomes if is_of_order(outcome.execution)]
    if not of_orders:
        return None, outcomes
    ends = StepEnds.lock(of_orders, skip_locked=True)
    finished.deferred += [outcome for outcome in outcomes if ends.is_busy(outcome.execution)]
    return ends, [outcome for outcome in outcomes if not ends.is_busy(outcome.execution)]


def settle(
    holder: AnyHolder,
    verdicts: Sequence[tuple[Outcome, Verdict]],
    timers: dict[int, LockedTimer],
    now_us: int,
    ends: StepEnds | None = None,
    *,
    keyed: bool = False,
    continuing: Callable[[], Continuing | None] = _no_continuing,
) -> list[int]:
    """Write verdicts into ledger, waiting and (locked) timers; the caller releases the claims.

    Args:
        holder: the owner of the claims.
        verdicts: outcomes with their verdicts.
        timers: the locked timers by id.
        now_us: microseconds since 1970 UTC.
        ends: records the steps of orders of chains, which it has locked; None: there are none.
        keyed: groups may have begun to limit by key.
        continuing: returns what claims the next steps of orders; None: nothing does.

    Returns:
        The timers that must be deleted if they have finished.
    """
    entries: list[ledger.Entry] = []
    waiting: list[WaitingRow] = []
    ended: list[int] = []
    steps: list[Outcome] = []
    for outcome, verdict in verdicts:
        execution = outcome.execution
        if verdict.next == "step":
            steps.append(outcome)
        elif verdict.next == "end":
            if outcome.reason is None and not execution.tells_subscription:
                # The row has no column for it, and its id does not contain it.
                subscriber = execution.group.subscriber(execution.subscription)
                outcome.reason = None if subscriber is None else f"for subscription {subscriber.name}"
            entries.append(ledger.final_entry(outcome, "succeeded"))
        elif verdict.next == "cancel":
            outcome.reason = cancelled_because(outcome)
            entries.append(ledger.final_entry(outcome, "cancelled"))
        else:
            if not (outcome.is_further_snooze and verdict.next == "again"):
                entries.append(ledger.try_entry(outcome))
            if verdict.next == "drop":
                entries.append(ledger.final_entry(outcome, "failed"))
            else:
                waiting.append(_waiting_row(outcome, verdict))
        if verdict.reason or (execution.snoozes > 1 and outcome.word != "snoozed"):
            snoozed = f"after {execution.snoozes:,} snoozes" if execution.snoozes > 1 else ""
            outcome.reason = "; ".join(each for each in (outcome.reason, verdict.reason, snoozed) if each)
        if verdict.next in ("end", "drop", "cancel") and execution.policies.on_finish == "delete":
            ended.append(execution.timer_id)
    ledger.write(holder, entries)
    waiting_rows.insert(waiting, now_us, keyed=keyed)
    if ends is not None and steps:
        orders = ends.end(holder, steps, now_us, continuing)
        ended += [
            outcome.execution.timer_id for outcome, verdict in orders
            if verdict.next != "park" and outcome.execution.policies.on_finish == "delete"
        ]  # fmt: skip
        verdicts = [each for each in verdicts if each[1].next != "step"] + orders
    follow_timers(verdicts, timers, now_us)
    return ended


def _waiting_row(outcome: Outcome, verdict: Verdict) -> WaitingRow:
    execution = outcome.execution
    is_failed = verdict.next == "park"
    fault = outcome.error_fingerprint
    if is_failed and fault is None:
        # Lost or discarded: those with the same reason belong together, like those with the same error.
        fault = fingerprint(outcome.word, "", outcome.reason or "")
    is_further = outcome.is_further_snooze and not is_failed
    snoozes = execution.snoozes + 1 if outcome.word == "snoozed" else 0
    reason = outcome.reason or (f"snoozed {snoozes:,} times" if snoozes > 1 else outcome.word)
    return WaitingRow(
        execution=execution,
        state="failed" if is_failed else "ready",
        available_us=verdict.available_us or execution.group.clock.at(outcome.finished_us),
        tried=execution.attempt - is_further,
        forgiven=execution.forgiven + (not is_further and (outcome.forgiven or outcome.word == "snoozed")),
        reason="; ".join(each for each in (verdict.reason, reason) if each),
        error_title=outcome.error_title or verdict.reason,
        error_fingerprint=fault,
        snoozes=snoozes,
    )
