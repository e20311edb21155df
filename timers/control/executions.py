"""Single executions: retry or dismiss failed ones, cancel open ones, replay ended ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import models

from timers import clock
from timers.control.audit import Entry, audited
from timers.control.call_back_to_cancel import cancel_claimed
from timers.control.quotas import check_payload
from timers.control.run import make_run
from timers.domain.execution_id import Occurrence
from timers.domain.execution_id import parse as parse_id
from timers.domain.payload import encode
from timers.engine.advance import lock_timers
from timers.engine.end_waiting import end_waiting
from timers.engine.group_clock import GroupClock
from timers.engine.group_lock import hold_groups
from timers.engine.orders.cancelling import (
    cancel_orders,
    cancel_orders_of_timer,
    end_parked_branches,
    lock_before_end,
    orders_among,
)
from timers.engine.orders.retrying import lock_failed_order, set_variables
from timers.engine.retry_waiting import retry_waiting
from timers.exceptions import InvalidRequest, NotAllowedNow, TimerNotFound, TimersError
from timers.models import Attempt, ChainOrder, Claim, Timer, Waiting
from timers.models.fields import ExactJSONField

KEEP: Any = object()
"""Marks a payload that was not given: the execution keeps its own."""
_LOOKS: Final = 3
"""Maximum number of searches: an execution may move between waiting and a claim while both are searched in turn."""


def retry_failed(execution: str, *, payload: Any = KEEP, actor: str = "") -> None:
    """Make a failed execution ready now, with all the retries of its policy.

    Args:
        execution: id of the execution.
        payload: a new payload; KEEP: unchanged. For an order of a chain, an object of variables: these are set, the
            others are kept.
        actor: who requests it; empty: the current actor.

    Raises:
        TimerNotFound: there is no such execution.
        NotAllowedNow: it has not failed, its timer is cancelled or deleted, or it had a thousand attempts.
        InvalidRequest: the payload or the variables are invalid.
    """
    text = None if payload is KEEP else encode(payload)
    with audited("execution.retry", actor, subject_id=execution) as entry:
        order = None if text is None else lock_failed_order(execution)
        row = _lock(execution)
        _say_of(entry, execution)
        if row.state != Waiting.State.FAILED:
            raise NotAllowedNow(f"execution {execution} is {row.state}; only a failed one can be retried")
        check_payload(row.group, text)
        if order is not None:
            set_variables(order, json.loads(text or "null"))
        retried = retry_waiting({str(row.id): 0}, f"retried by {actor}" if actor else "retried")
        for why in retried.refused.values():
            raise NotAllowedNow(f"execution {execution} cannot be retried: {why}")
        entry.changed("state", Waiting.State.FAILED.value, Waiting.State.READY.value)
        if text is not None:
            entry.told(payload=json.loads(text))
        if text is not None and order is None:
            # A JSON null is a payload too; an empty column would mean the timer's payload.
            row.payload = models.Value(json.loads(text), ExactJSONField())
            row.save(update_fields=["payload"])


def dismiss_failed(executions: Sequence[str], *, reason: str = "", actor: str = "") -> int:
    """Dismiss failed executions: their final outcome is failed. Return how many were dismissed.

    Args:
        executions: ids; executions that have not failed are ignored.
        reason: why, for the ledger; empty: who requested it.
        actor: who requests it; empty: the current actor.
    """
    why = reason or (f"dismissed by {actor}" if actor else "dismissed")
    where = "state = 'failed' AND id = ANY(%(ids)s::uuid[])"
    return _end_many("execution.dismiss", actor, where, "failed", why, list(executions))


def cancel_waiting(executions: Sequence[str], *, reason: str = "", actor: str = "") -> int:
    """Cancel waiting executions: ready, queued or failed. Return how many were cancelled.

    Orders of chains run their finally steps first.

    Args:
        executions: ids; executions that do not wait are ignored.
        reason: why, for the ledger; empty: who requested it.
        actor: who requests it; empty: the current actor.
    """
    why = reason or (f"cancelled by {actor}" if actor else "cancelled")
    return _end_many("execution.cancel", actor, "id = ANY(%(ids)s::uuid[])", "cancelled", why, list(executions))


def _end_many(verb: str, actor: str, where: str, outcome: str, why: str, executions: list[str]) -> int:
    with audited(verb, actor, subject_id=executions[0] if len(executions) == 1 else "") as entry:
        lock_before_end(executions)
        orders = orders_among(executions) if outcome == "cancelled" else []
        cancel_orders(orders, why)
        told = [order for order, *_ in orders] if orders else end_parked_branches(executions, why)
        others = list(set(executions).difference(told))
        ended = told + end_waiting(where, outcome, why, ids=others)
        if not ended:
            entry.nothing()
        elif len(executions) == 1:
            _say_of(entry, executions[0])
        entry.many(executions=ended)
        entry.told(reason=why)
        return len(ended)


@dataclass(frozen=True, slots=True)
class CancelledExecution:
    """The result of cancelling one execution."""

    execution: str
    in_flight: bool
    """Whether it had begun, or its holder did not answer in time: it is requested to end, and ends as cancelled unless
    it succeeds first.
    """


def cancel_execution(execution: str, *, reason: str = "", actor: str = "") -> CancelledExecution:
    """Cancel a waiting execution, or request a claimed one to end; its timer continues.

    Args:
        execution: id of the execution.
        reason: why, for the ledger; empty: who requested it.
        actor: who requests it; empty: the current actor.

    Raises:
        InvalidRequest: `execution` is not an execution id.
        TimerNotFound: there is no such execution.
        NotAllowedNow: it has ended already.
    """
    timer_id = check_execution(execution).timer_id
    why = reason or (f"cancelled by {actor}" if actor else "cancelled")
    with audited("execution.cancel", actor, subject_id=execution) as entry:
        _say_of(entry, execution)
        # Before its claim: the order of all locks.
        lock_timers([timer_id])
        if orders := orders_among([execution]):
            is_ended = bool(cancel_orders(orders, why))
            entry.told(in_flight=not is_ended, reason=why)
            return CancelledExecution(execution, in_flight=not is_ended)
        for _ in range(_LOOKS):
            is_ended = bool(end_waiting("id = ANY(%(ids)s::uuid[])", "cancelled", why, wait=True, ids=[execution]))
            group_id = None if is_ended else _claimed_in(execution)
            in_flight: list[str] = []
            if group_id is not None:
                unbegun, in_flight = cancel_claimed(
                    timer_id, group_id, only=lambda each: each.id == execution, reason=why
                )
                is_ended = bool(unbegun)
            if is_ended or in_flight:
                entry.told(in_flight=not is_ended, reason=why)
                return CancelledExecution(execution, in_flight=not is_ended)
        raise _not_under_way(execution, "be cancelled")


def replay_execution(execution: str, *, payload: Any = KEEP, overlap: str | None = None, actor: str = "") -> str:
    """Run the action of an ended execution's timer again, now, as a new execution.

    The ledger keeps no payloads: the new execution has its timer's present payload, unless another is given. It also
    uses the timer's present action and policies; its origin is `replay`.

    Args:
        execution: id of the ended execution.
        payload: payload of the new execution; KEEP: the timer's.
        overlap: overlap policy of this run (see fire_timer); None: the timer's.
        actor: who requests it; empty: the current actor.

    Returns:
        The id of the new execution.

    Raises:
        InvalidRequest: `execution` is not an execution id.
        TimerNotFound: the history of the execution, or its timer, has been deleted.
        NotAllowedNow: it has not ended, or its timer is cancelled.
    """
    text = None if payload is KEEP else encode(payload)
    occurrence = check_execution(execution)
    order = ChainOrder.objects.filter(id=execution).values_list("root", "parent", "ended_at").first()
    if order is not None and order[1] is not None:
        raise NotAllowedNow(f"execution {execution} is a branch or sub-chain of order {order[0]}; replay that one")
    if not Attempt.objects.filter(id=execution).exists():
        rests = order is not None and order[2] is None
        if rests or Waiting.objects.filter(id=execution).exists() or _claimed_in(execution) is not None:
            raise NotAllowedNow(f"execution {execution} has not ended; a failed one can be retried, with its payload")
        raise TimerNotFound(f"the ledger knows no execution {execution}; history is kept for so many days only")
    with audited("execution.replay", actor, subject_id=execution) as entry:
        hold_groups(Timer.objects.filter(id=occurrence.timer_id).values_list("group_id", flat=True))
        rows = Timer.objects.select_related("group").select_for_update(of=("self",))
        timer = rows.filter(id=occurrence.timer_id).first()
        if timer is None:
            raise TimerNotFound(f"the timer of execution {execution} has been deleted; schedule it again")
        now = GroupClock.of(timer.group).moment(clock.now())
        reason = f"replay of {execution}" + (f" by {actor}" if actor else "")
        only_for = occurrence.ordinal if occurrence.origin == "schedule" else 0
        replay = make_run(
            timer, "replay", now, now=now, payload=text, reason=reason, only_for=only_for, overlap=overlap
        )
        entry.group, entry.name = timer.group.name, timer.name
        entry.told(
            execution=replay,
            **({} if overlap is None else {"overlap": overlap}),
            **({} if text is None else {"payload": json.loads(text)}),
        )
        return replay


def _say_of(entry: Entry, execution: str) -> None:
    """Set the entry's names of the timer and group of the execution, so that it can be found by them."""
    timer = Timer.objects.filter(id=parse_id(execution).timer_id).values_list("group__name", "name").first()
    if timer is not None:
        entry.group, entry.name = timer


def check_execution(execution: str) -> Occurrence:
    """Return the parts of an execution id. Raise InvalidRequest if it is not valid."""
    try:
        occurrence = parse_id(execution)
    except (ValueError, AttributeError):
        raise InvalidRequest("execution", "is no execution id", given=execution) from None
    if occurrence.seq:
        raise InvalidRequest("execution", "is the id of one try; that of its execution ends otherwise", given=execution)
    return occurrence


def cancel_unfailed(timer_id: int, *, reason: str) -> int:
    """Cancel all ready and queued executions of a timer. Return how many were cancelled.

    An execution that a worker was claiming concurrently is in its claim when this returns.
    """
    where = "state IN ('ready', 'queued') AND step IS NULL AND timer_id = %(timer_id)s"
    ended = end_waiting(where, "cancelled", reason, wait=True, timer_id=timer_id)
    return len(ended) + cancel_orders_of_timer(timer_id, reason)


def _claimed_in(execution: str) -> int | None:
    """Return the group id of the claim that contains the execution; None: no claim does."""
    return Claim.objects.filter(executions__contains=[execution]).values_list("group_id", flat=True).first()


def _not_under_way(execution: str, what: str) -> TimersError:
    final = Attempt.objects.filter(id=execution).values_list("outcome", flat=True).first()
    if final is None:
        return TimerNotFound(f"there is no execution {execution}")
    return NotAllowedNow(f"execution {execution} cannot {what}: it has {final} already")


def _lock(execution: str) -> Waiting:
    row = Waiting.objects.select_for_update().filter(id=execution).first()
    if row is not None:
        return row
    if _claimed_in(execution) is not None:
        raise NotAllowedNow(f"execution {execution} is held by a node or consumer; only a failed one can be retried")
    raise _not_under_way(execution, "be retried")
