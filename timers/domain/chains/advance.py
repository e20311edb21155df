"""Advance: compute what follows for an order from one event. Pure: no clock, no database, no randomness."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from timers.domain.chains import events, joins, people
from timers.domain.chains.definition import Chain
from timers.domain.chains.failures import fail_step
from timers.domain.chains.moves import Moves
from timers.domain.chains.order import (
    ALL_ACTIVE,
    AT_STOPPED,
    AWAITING,
    CLAIMED,
    FAILED,
    JOINING,
    PENDING,
    RUNNABLE,
    SUCCEEDED,
    WAITING,
    Order,
    StepStates,
)
from timers.domain.chains.results import BadResult, pick
from timers.domain.chains.steps import ActionStep, ApprovalStep, JoinStep, SignalStep, SubChainStep, WaitStep
from timers.domain.chains.walk import Walk
from timers.domain.chains.way import enter, follow


def advance(chain: Chain, order: Order, event: events.Event, now: datetime, states: StepStates = ALL_ACTIVE) -> Moves:
    """Compute what the engine writes after an event.

    Args:
        chain: Definition that the order follows.
        order: The order, read under the lock of its row.
        event: What happened.
        now: Present instant of the database clock.
        states: Stopped and skipped steps of the chain.

    Returns:
        The moves, to be written in one transaction. A late or repeated event changes nothing.

    Raises:
        NotAllowedNow: A person's request is not possible in the order's state.
        InvalidRequest: A person named an invalid step or invalid variables.
    """
    walk = Walk(chain, order, now, states)
    turn = getattr(event, "turn", None)
    if turn is None or turn == order.turn:
        follow(walk, _HANDLERS[type(event)](walk, event))
    return walk.moves()


def _started(walk: Walk, event: events.Started) -> str | None:
    if walk.order.state != PENDING:
        return None
    if walk.order.branch is None:
        walk.place["deadline_at"] = people.deadline_from(walk)
    return walk.order.step if walk.order.turn == 0 else people.begin_again(walk, event.tallies)


def _step_succeeded(walk: Walk, event: events.StepSucceeded) -> str | None:
    step = walk.step
    if walk.order.state != CLAIMED or not isinstance(step, ActionStep):
        return None
    walk.release_locks()
    try:
        walk.assign(pick(step.results, event.result))
    except BadResult as error:
        return fail_step(walk, step, str(error))
    return step.next


def _step_failed(walk: Walk, event: events.StepFailed) -> str | None:
    step = walk.step
    if walk.order.state != CLAIMED:
        return None
    walk.release_locks()
    return fail_step(walk, step, event.error, may_retry=event.may_retry, retry_after=event.retry_after)


def _time_over(walk: Walk, event: events.TimeOver) -> str | None:
    step = walk.step
    if walk.order.state == WAITING:
        return step.next if isinstance(step, WaitStep) else enter(walk, step, is_delayed=True)
    if walk.order.state != AWAITING or walk.order.available_at is None:
        return None
    if isinstance(step, ApprovalStep) and step.default != "fail":
        walk.notes.append(f"deadline of {step.name} passed: {step.default}")
        return step.next if step.default == "approve" else _refused_by(walk, step, "default at the deadline")
    if isinstance(step, SignalStep) and step.on_deadline.target is not None:
        walk.notes.append(f"deadline of {step.name} passed")
        return step.on_deadline.target
    return fail_step(walk, step, "its deadline passed")


def _branch_ended(walk: Walk, event: events.BranchEnded) -> str | None:
    return joins.branch_ended(walk, event.tallies) if _is_joining(walk, event.round, JoinStep) else None


def _branches_collected(walk: Walk, event: events.BranchesCollected) -> str | None:
    is_joining = _is_joining(walk, event.round, JoinStep)
    return joins.collected(walk, event.tallies, event.results) if is_joining else None


def _sub_chain_ended(walk: Walk, event: events.SubChainEnded) -> str | None:
    step = walk.step
    if not _is_joining(walk, event.round, SubChainStep):
        return None
    assert isinstance(step, SubChainStep)
    if not event.has_begun:
        walk.place["round"] = None
    if event.outcome != SUCCEEDED:
        what = f"sub-chain {step.chain} {event.outcome}"
        return fail_step(walk, step, f"{what}: {event.reason}" if event.reason else what)
    walk.place["round"] = None  # it has succeeded: nothing of it can be restarted
    try:
        walk.assign(pick(step.results, event.variables, "the sub-chain's variables"))
    except BadResult as error:
        return fail_step(walk, step, str(error))
    return step.next


def _is_joining(walk: Walk, round_: int, kind: type[Any]) -> bool:
    return walk.order.state == JOINING and walk.order.round == round_ and isinstance(walk.step, kind)


def _approved(walk: Walk, event: events.Approved) -> str | None:
    step = people.awaited(walk, ApprovalStep, "an approval")
    walk.notes.append(f"approved{people.by(event.by)}")
    return step.next


def _refused(walk: Walk, event: events.Refused) -> str | None:
    step = people.awaited(walk, ApprovalStep, "an approval")
    return _refused_by(walk, step, f"{people.by(event.by)}{': ' if event.reason else ''}{event.reason}".strip())


def _refused_by(walk: Walk, step: ApprovalStep, words: str) -> str | None:
    if step.refused is None:
        return fail_step(walk, step, f"refused {words}".strip())
    walk.notes.append(f"refused {words}".strip())
    return step.refused


def _signalled(walk: Walk, event: events.Signalled) -> str | None:
    step = people.awaited(walk, SignalStep, f"the signal {event.name}")
    people.check_signal(step, event.name)
    walk.notes.append(f"signal {event.name}")
    try:
        walk.assign(pick(step.results, event.payload, "the payload of the signal"))
    except BadResult as error:
        return fail_step(walk, step, str(error))
    return step.next


def _deadline_passed(walk: Walk, event: events.DeadlinePassed) -> str | None:
    order, policy = walk.order, walk.chain.on_deadline
    if order.deadline_at is None or order.in_finally or order.is_over or order.state == PENDING:
        return None
    walk.place["deadline_at"] = None
    if policy.word == "suspend":
        people.suspend(walk, "the deadline of the chain passed")
        return None
    walk.leave()
    if policy.target is not None:
        walk.notes.append(f"deadline of the chain passed; goes to {policy.target}")
        return policy.target
    return walk.end(FAILED, "the deadline of the chain passed", resume_at=order.step)


def _states_changed(walk: Walk, event: events.StatesChanged) -> str | None:
    order, step, states = walk.order, walk.step, walk.states
    if order.state == AT_STOPPED:
        return enter(walk, step, is_delayed=order.setbacks > 0)
    if not step.can_be_passed or order.state not in RUNNABLE | {WAITING, AWAITING}:
        return None
    has_begun = order.state == AWAITING or isinstance(step, WaitStep)
    is_stopped = not has_begun and (states.is_chain_stopped or step.name in states.stopped)
    return enter(walk, step, is_delayed=True) if step.name in states.skipped or is_stopped else None


_HANDLERS: Final[dict[type[Any], Callable[[Walk, Any], str | None]]] = {
    events.Started: _started,
    events.StepSucceeded: _step_succeeded,
    events.StepFailed: _step_failed,
    events.TimeOver: _time_over,
    events.BranchEnded: _branch_ended,
    events.BranchesCollected: _branches_collected,
    events.SubChainEnded: _sub_chain_ended,
    events.Approved: _approved,
    events.Refused: _refused,
    events.Signalled: _signalled,
    events.DeadlinePassed: _deadline_passed,
    events.StatesChanged: _states_changed,
    events.Suspended: people.suspended,
    events.Resumed: people.resume,
    events.Skipped: people.skip,
    events.Moved: people.move,
    events.Reset: people.reset,
    events.Cancelled: people.cancel,
}
