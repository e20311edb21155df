"""Begin a step: what each kind does when an order has reached it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from timers.domain.chains.failures import fail_step
from timers.domain.chains.joins import begin_fork, begin_map
from timers.domain.chains.moves import NewSubOrder
from timers.domain.chains.order import AWAITING, JOINING, READY, SUCCEEDED, WAITING
from timers.domain.chains.steps import (
    ActionStep,
    ApprovalStep,
    ChoiceStep,
    EndStep,
    ForkStep,
    MapStep,
    SignalStep,
    Step,
    SubChainStep,
    WaitStep,
)
from timers.domain.chains.walk import Walk


def begin(walk: Walk, step: Step) -> str | None:
    """Begin the step. Return the step to continue with at once, or None if the order waits."""
    return _BEGIN[step.kind](walk, step)


def _action(walk: Walk, step: ActionStep) -> None:
    walk.rest(READY, at=walk.now)
    if step.locks:
        walk.effects["take_locks"] = step.locks


def _choice(walk: Walk, step: ChoiceStep) -> str:
    return step.choose(walk.seen)


def _await(walk: Walk, step: ApprovalStep | SignalStep) -> None:
    walk.rest(AWAITING, at=None if step.deadline is None else walk.now + timedelta(seconds=step.deadline))


def _wait(walk: Walk, step: WaitStep) -> str | None:
    until = step.ends_at(walk.now)
    if until is None:
        return fail_step(walk, step, f"cron: {step.cron} has no further instant")
    walk.rest(WAITING, at=until)
    return None


def _sub_chain(walk: Walk, step: SubChainStep) -> None:
    seen = walk.seen
    given = seen if step.variables is None else {name: seen[name] for name in step.variables if name in seen}
    walk.place["round"] = walk.turn
    walk.rest(JOINING)
    walk.effects["sub_order"] = NewSubOrder(walk.turn, step.chain, dict(given))


def _end(walk: Walk, step: EndStep) -> str | None:
    if step.outcome == SUCCEEDED:
        return walk.end(SUCCEEDED)
    return walk.end(step.outcome, step.reason or f"ended at {step.name}", resume_at=step.name)


_BEGIN: Final[dict[str, Callable[[Walk, Any], str | None]]] = {
    ActionStep.kind: _action,
    ForkStep.kind: begin_fork,
    MapStep.kind: begin_map,
    ChoiceStep.kind: _choice,
    ApprovalStep.kind: _await,
    SignalStep.kind: _await,
    WaitStep.kind: _wait,
    SubChainStep.kind: _sub_chain,
    EndStep.kind: _end,
}
