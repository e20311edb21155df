"""Progress of an order from one step to the next, past skipped steps, until it waits.

Functions that return a name return the step to continue with at once; None: the order waits, or has ended.
"""

from __future__ import annotations

from datetime import timedelta

from timers.domain.chains.begin import begin
from timers.domain.chains.order import AT_STOPPED, SUCCEEDED, WAITING
from timers.domain.chains.steps import NextStep, PartingStep, Step
from timers.domain.chains.walk import Walk


def follow(walk: Walk, name: str | None) -> None:
    """Go to a step, and continue as long as steps are passed at once."""
    passed: set[tuple[str, int, bool]] = set()
    while name is not None:
        at = name, walk.changes, walk.now_of("in_finally")
        if at in passed:  # no variable has changed since: it would loop for ever
            walk.place.update(step=name, setbacks=0, round=None)
            walk.suspend(f"it came to {name} again without having run any step")
            return
        passed.add(at)
        name = _arrive(walk, name)


def enter(walk: Walk, step: Step, *, is_delayed: bool = False) -> str | None:
    """Begin the step, unless orders are stopped before it or skip it. `is_delayed`: its delay is over."""
    if step.can_be_passed:
        if step.name in walk.states.skipped:
            walk.notes.append(f"skipped {step.name}")
            return past(walk, step)
        if walk.states.is_chain_stopped or step.name in walk.states.stopped:
            walk.rest(AT_STOPPED)
            return None
    delay = step.delay if isinstance(step, (NextStep, PartingStep)) else 0
    if delay and not is_delayed:
        walk.rest(WAITING, at=walk.now + timedelta(seconds=delay))
        return None
    return begin(walk, step)


def past(walk: Walk, step: Step) -> str:
    """Return the step that follows when this one is skipped; a fork and a map are skipped with their join."""
    following = step.skips_to
    return walk.chain.steps[following].skips_to if isinstance(step, PartingStep) else following


def _arrive(walk: Walk, name: str) -> str | None:
    branch = walk.order.branch
    if branch is not None and walk.chain.parting(branch.fork).join == name:
        return walk.end(SUCCEEDED)
    step = walk.chain.steps[name]
    walk.place.update(step=name, setbacks=0, round=None)
    visits = walk.count(name)
    if visits > step.max_visits:
        walk.suspend(f"max_visits: it came to {name} for the {visits:,}. time; {step.max_visits:,} are allowed")
        return None
    if walk.now_of("is_suspend_requested"):
        walk.suspend("suspended before this step, as requested")
        return None
    return enter(walk, step)
