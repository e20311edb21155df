"""Check that each step, fork, join and lock that a definition refers to exists."""

from __future__ import annotations

from timers.domain.chains.definition import Chain
from timers.domain.chains.steps import KINDS, ActionStep, ForkStep, JoinStep, PartingStep
from timers.domain.errors import ErrorCollector, nearest
from timers.exceptions import InvalidRequest


def check_targets(chain: Chain, mistakes: ErrorCollector) -> None:
    """Collect an error for each name that refers to nothing."""
    _check(chain, "start", chain.start, mistakes)
    if chain.finally_ is not None:
        _check(chain, "finally", chain.finally_, mistakes)
    if chain.on_deadline.target is not None:
        _check(chain, "on_deadline.goto", chain.on_deadline.target, mistakes)
        if chain.deadline is None:
            mistakes.add(
                InvalidRequest("on_deadline", "has no effect without a deadline. Give a deadline, or remove it.")
            )
    for name, step in chain.steps.items():
        for way in step.exits():
            _check(chain, f"steps.{name}.{way.field}", way.target, mistakes)
        found = chain.steps.get(step.join) if isinstance(step, PartingStep) else None
        if found is not None and not isinstance(found, JoinStep) and found.kind in KINDS:
            what = f'"{found.name}" is of the kind {found.kind}. Name a step of the kind join.'
            mistakes.add(InvalidRequest(f"steps.{name}.join", what))
        if isinstance(step, ActionStep):
            _check_locks(chain, name, step, mistakes)
    _check_joins(chain, mistakes)


def _check(chain: Chain, field: str, target: str, mistakes: ErrorCollector) -> None:
    if not target or target in chain.steps:
        return
    near = nearest(target, chain.steps)
    hint = f' Did you mean "{near}"?' if near else " Name one of its steps."
    mistakes.add(InvalidRequest(field, f'"{target[:200]}" is not a step of this chain.{hint}'))


def _check_locks(chain: Chain, name: str, step: ActionStep, mistakes: ErrorCollector) -> None:
    for lock in step.locks:
        if lock not in chain.locks:
            near = nearest(lock, chain.locks)
            hint = f'Did you mean "{near}"?' if near else f'Add it to "locks" of the chain: {{"{lock}": 1}}.'
            mistakes.add(InvalidRequest(f"steps.{name}.locks", f'no lock "{lock}" is declared. {hint}'))


def _check_joins(chain: Chain, mistakes: ErrorCollector) -> None:
    forks: dict[str, list[str]] = {}
    for name, step in chain.steps.items():
        if isinstance(step, PartingStep):
            forks.setdefault(step.join, []).append(name)
    for name, step in chain.steps.items():
        if isinstance(step, JoinStep):
            found = forks.get(name, [])
            if not found:
                what = f'is a join without its fork. Name it as "join" of a fork or map: "join": "{name}".'
                mistakes.add(InvalidRequest(f"steps.{name}", what))
            elif len(found) > 1:
                what = f"is the join of {' and '.join(found)}. Give each of them a join of its own."
                mistakes.add(InvalidRequest(f"steps.{name}", what))
            elif isinstance(fork := chain.steps[found[0]], ForkStep) and step.needed(1) > len(fork.branches) > 0:
                what = (
                    f"{step.mode} branches must succeed, but {found[0]} has {len(fork.branches)}. Give a lower number."
                )
                mistakes.add(InvalidRequest(f"steps.{name}.mode", what))
