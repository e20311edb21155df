"""Requests of people about an order: suspend, resume, skip, move, reset, cancel, answer what it waits for."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from timers.domain.chains import events, joins
from timers.domain.chains.definition import FINALLY
from timers.domain.chains.order import (
    AWAITING,
    CANCELLED,
    CLAIMED,
    ENDED,
    FAILED,
    JOINING,
    PENDING,
    SUCCEEDED,
    SUSPENDED,
    Pending,
    Tallies,
)
from timers.domain.chains.results import BadResult
from timers.domain.chains.steps import EndStep, JoinStep, SignalStep, Step, SubChainStep, readers
from timers.domain.chains.walk import Walk
from timers.domain.chains.way import past
from timers.domain.errors import nearest
from timers.exceptions import InvalidRequest, NotAllowedNow

Kind = TypeVar("Kind", bound=Step)


def deadline_from(walk: Walk) -> datetime | None:
    """Return the deadline of an order that begins now."""
    return None if walk.chain.deadline is None else walk.now + timedelta(seconds=walk.chain.deadline)


def by(actor: str) -> str:
    """Return text that names the actor."""
    return f" by {actor}" if actor else ""


def awaited(walk: Walk, kind: type[Kind], what: str) -> Kind:
    """Return the step that waits for an answer. Raises NotAllowedNow if the order waits for something else."""
    step = walk.step
    if walk.order.state != AWAITING or not isinstance(step, kind):
        raise NotAllowedNow(f"order: does not wait for {what}; it is {walk.order.state} at {walk.order.step}.")
    return step


def check_signal(step: SignalStep, name: str) -> None:
    """Raise NotAllowedNow for a signal that the step does not wait for."""
    if name != step.awaited:
        raise NotAllowedNow(f'signal: the order waits for "{step.awaited}", not for "{name}".')


def suspended(walk: Walk, event: events.Suspended) -> str | None:
    """Suspend at once, or before the next step if something is running. Raises NotAllowedNow after the end."""
    suspend(walk, event.reason)
    return None


def suspend(walk: Walk, reason: str) -> None:
    """Suspend at once, or before the next step if something is running."""
    state = walk.order.state
    if state in (FAILED, ENDED):
        raise NotAllowedNow(f"order: is {state} and cannot be suspended.")
    if state == SUSPENDED:
        return
    if state in (CLAIMED, JOINING):
        walk.place["is_suspend_requested"] = True
        walk.notes.append(f"suspended before the next step{': ' if reason else ''}{reason}")
    else:
        walk.suspend(reason or "suspended")


def resume(walk: Walk, event: events.Resumed) -> str | None:
    """Continue at the present step, or at a step that a person names."""
    order = walk.order
    if order.is_suspend_requested and order.state in (CLAIMED, JOINING) and event.at is None and not event.variables:
        walk.place["is_suspend_requested"] = False
        return None
    if order.state not in (SUSPENDED, FAILED):
        raise NotAllowedNow(f"order: is {order.state}. Only suspended and failed orders can be resumed.")
    if event.variables:
        before = walk.seen
        set_by_person(walk, event)
        if event.at is None and event.tallies is not None and isinstance(walk.step, JoinStep):
            joins.check_elements_kept(walk, walk.step, before, event.tallies)
    walk.restart_counts()
    if (order.state == FAILED or not order.visits) and order.branch is None:
        walk.place["deadline_at"] = deadline_from(walk)
    if event.at is not None:
        return _go_to(walk, event.at, "at")
    walk.notes.append(f"resumed at {order.step}")
    return _go_on(walk, event.tallies)


def set_by_person(walk: Walk, event: events.Resumed) -> None:
    """Set the variables that a person gave. Raises InvalidRequest."""
    readers.variables(event.variables, "variables")
    try:
        walk.assign(event.variables)
    except BadResult as error:
        raise InvalidRequest("variables", str(error).removeprefix("variables: ")) from None


def _go_on(walk: Walk, tallies: Tallies | None) -> str | None:
    order, step = walk.order, walk.step
    if isinstance(step, JoinStep):
        if order.round is None:  # the map had no element, and that was too few
            return walk.chain.forks[step.name]
        if tallies is None:
            raise ValueError(f"the tallies of the branches are needed to go on at the join {step.name}")
        return joins.resume_join(walk, tallies)
    if isinstance(step, SubChainStep) and order.round is not None:
        walk.rest(JOINING)
        walk.effects["restart_sub_order"] = True
        return None
    return order.step


def begin_again(walk: Walk, tallies: Tallies | None) -> str | None:
    """Restart a branch or sub-chain where it ended without success."""
    walk.restart_counts()
    if isinstance(walk.step, EndStep):
        return walk.chain.first_of(walk.order.scope)
    if walk.chain.scopes[walk.step.name] == FINALLY:  # everything succeeded except the finally steps
        walk.place.update(in_finally=True, pending=Pending(SUCCEEDED), deadline_at=None)
    return _go_on(walk, tallies)


def skip(walk: Walk, event: events.Skipped) -> str | None:
    """Continue after the present step."""
    _refuse_running(walk, "skip its step")
    if isinstance(walk.step, EndStep):
        raise NotAllowedNow("order: is at its end; there is nothing to skip.")
    walk.leave()
    walk.notes.append(f"skipped {walk.order.step}{by(event.by)}")
    return past(walk, walk.step)


def move(walk: Walk, event: events.Moved) -> str | None:
    """Move to another step."""
    _refuse_running(walk, "move it")
    return _go_to(walk, event.to, "to")


def reset(walk: Walk, event: events.Reset) -> str | None:
    """Move to the first step; the variables are kept."""
    _refuse_running(walk, "reset it")
    order = walk.order
    if order.parent is not None and order.pending is not None and order.pending.outcome == CANCELLED:
        raise NotAllowedNow("order: was cancelled, and the order that began it has gone on. Reset that one.")
    walk.leave()
    walk.restart_counts()
    if walk.order.branch is None:
        walk.place.update(in_finally=False, pending=None, deadline_at=deadline_from(walk))
        first = walk.chain.start
    else:
        first = walk.chain.first_of(walk.order.scope)
    walk.notes.append(f"reset to {first}")
    return first


def cancel(walk: Walk, event: events.Cancelled) -> str | None:
    """End the order as cancelled, after its finally steps; a second cancel ends it at once."""
    order = walk.order
    if order.state == ENDED:
        return None
    walk.leave()
    if order.pending is not None:
        walk.settle(replace(order.pending, outcome=CANCELLED, reason=event.reason))
        return None
    if order.state in (FAILED, PENDING):
        walk.settle(Pending(CANCELLED, event.reason, order.step, order.round))
        return None
    return walk.end(CANCELLED, event.reason, resume_at=order.step)


def _refuse_running(walk: Walk, what: str) -> None:
    state = walk.order.state
    if state == CLAIMED:
        raise NotAllowedNow(
            f"order: a worker runs {walk.order.step}. Suspend the order, wait for the step, then {what}."
        )
    if state == ENDED:
        raise NotAllowedNow(f"order: has ended as {walk.order.outcome}; start another one.")
    if state == PENDING:
        raise NotAllowedNow("order: has not been started. Start it first.")


def _go_to(walk: Walk, name: Any, field: str) -> str:
    chain, order = walk.chain, walk.order
    step = chain.steps.get(name) if isinstance(name, str) else None
    if step is None:
        near = nearest(str(name)[:200], chain.steps)
        hint = f' Did you mean "{near}"?' if near else " Name one of its steps."
        raise InvalidRequest(field, f'"{str(name)[:200]}" is not a step of this chain.{hint}')
    if isinstance(step, JoinStep):
        raise InvalidRequest(field, f'"{name}" is a join. Go to "{chain.forks[name]}", or to a step behind the join.')
    if not isinstance(step, EndStep) and chain.scopes[name] != order.scope:
        raise InvalidRequest(field, f'"{name}" belongs to {chain.scopes[name]}; the order is in {order.scope}.')
    walk.leave()
    walk.restart_counts()
    walk.notes.append(f"moved to {name}")
    return name if isinstance(name, str) else ""
