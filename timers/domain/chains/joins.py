"""Forks, maps and their joins: which branches begin, and when the join is decided."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

from timers.domain.chains.failures import fail_step
from timers.domain.chains.limits import MAX_ELEMENTS
from timers.domain.chains.moves import NewBranch
from timers.domain.chains.order import JOINING, Branch, Tallies
from timers.domain.chains.results import BadResult, find_path, kind_of
from timers.domain.chains.steps import ForkStep, JoinStep, MapStep
from timers.domain.chains.walk import Walk, same_value
from timers.exceptions import InvalidRequest


class Decision(Enum):
    """Decision about a join, from its tallies."""

    WAIT = "wait"
    SUCCEED = "succeed"
    FAIL = "fail"


def decide(join: JoinStep, tallies: Tallies) -> Decision:
    """Return whether a join waits, succeeds or fails. A cancelled branch counts as failed."""
    bad = tallies.failed + tallies.cancelled
    if bad and join.on_branch_failure == "fail":
        return Decision.FAIL
    if tallies.succeeded >= join.needed(tallies.total):
        return Decision.SUCCEED
    if tallies.succeeded + bad < tallies.total:
        return Decision.WAIT
    return Decision.SUCCEED if join.on_branch_failure == "ignore" else Decision.FAIL


def begin_fork(walk: Walk, step: ForkStep) -> None:
    """Begin all branches and wait at the join."""
    new = [
        NewBranch(walk.turn, Branch(step.name, name=name), first, {}) for name, first in step.branches
    ]  # fmt: skip
    _wait_at_join(walk, step, len(new), new)


def begin_map(walk: Walk, step: MapStep) -> str | None:
    """Begin the first branches and wait at the join. A map over an empty list joins at once."""
    try:
        elements = elements_of(step, walk.seen)
    except BadResult as error:
        return fail_step(walk, step, str(error))
    join = walk.chain.steps[step.join]
    assert isinstance(join, JoinStep)
    if not elements:
        walk.place["step"] = step.join
        return _join(walk, join, Tallies(0, 0), {})
    _wait_at_join(
        walk, step, len(elements), _elements(step, walk.turn, elements, range(min(step.parallel, len(elements))))
    )
    return None


def elements_of(step: MapStep, variables: Mapping[str, Any]) -> Sequence[Any]:
    """Return the list of a map. Raises BadResult if there is none."""
    value = find_path(variables, step.over)
    if not isinstance(value, (list, tuple)):
        kind = "missing" if value is None else kind_of(value)
        raise BadResult(f"over: {'.'.join(step.over)} is {kind}, not a list. Set it, and resume the order.")
    if len(value) > MAX_ELEMENTS:
        raise BadResult(f"over: {'.'.join(step.over)} has {len(value):,} elements; {MAX_ELEMENTS:,} are allowed")
    return value


def check_elements_kept(walk: Walk, join: JoinStep, before: Mapping[str, Any], tallies: Tallies) -> None:
    """Raise InvalidRequest if a person changes the list of a map of which elements have not begun.

    Args:
        walk: The walk, with the changed variables.
        join: The join at which the order waits.
        before: The variables before the change.
        tallies: The branches that the order has.
    """
    fork = walk.chain.parting(walk.chain.forks[join.name])
    if not isinstance(fork, MapStep) or tallies.started + tallies.reset >= tallies.total:
        return
    if not same_value(find_path(before, fork.over), find_path(walk.seen, fork.over)):
        what = f'"{".".join(fork.over)}" is the list of the map "{fork.name}", some of whose elements have begun.'
        raise InvalidRequest(f"variables.{fork.over[0]}", f'{what} Resume "at": "{fork.name}" to begin it again.')


def branch_ended(walk: Walk, tallies: Tallies) -> str | None:
    """Keep waiting, begin more branches, collect the results, or fail the join."""
    join = _join_of(walk)
    decision = decide(join, tallies)
    if decision is Decision.WAIT:
        return _begin_further(walk, join, tallies)
    if decision is Decision.SUCCEED:
        walk.effects["collect"] = True
        return None
    return _fail_join(walk, join, tallies)


def collected(walk: Walk, tallies: Tallies, results: Mapping[Any, Mapping[str, Any]]) -> str | None:
    """Continue after the join with the results of its branches."""
    join = _join_of(walk)
    if decide(join, tallies) is not Decision.SUCCEED:
        return None
    if tallies.running:
        walk.effects["cancel_branches"] = True
    return _join(walk, join, tallies, results)


def resume_join(walk: Walk, tallies: Tallies) -> str | None:
    """Restart the branches that had not succeeded; keep the results of the others."""
    walk.rest(JOINING)
    bad = tallies.failed + tallies.cancelled
    again = Tallies(tallies.total, tallies.started - bad, tallies.succeeded, reset=tallies.reset + bad)
    if bad:
        walk.effects["reset_branches"] = True
    return branch_ended(walk, again)


def _join_of(walk: Walk) -> JoinStep:
    join = walk.step
    assert isinstance(join, JoinStep)
    return join


def _wait_at_join(walk: Walk, step: ForkStep | MapStep, total: int, new: Iterable[NewBranch]) -> None:
    walk.place.update(step=step.join, round=walk.turn)
    walk.rest(JOINING)
    walk.effects.update(spawn=tuple(new), total=total)


def _elements(step: MapStep, round_: int, elements: Sequence[Any], indexes: Iterable[int]) -> list[NewBranch]:
    return [
        NewBranch(round_, Branch(step.name, index=index), step.branch, {step.element: elements[index]})
        for index in indexes
    ]


def _begin_further(walk: Walk, join: JoinStep, tallies: Tallies) -> str | None:
    fork = walk.chain.parting(walk.chain.forks[join.name])
    parallel = fork.parallel if isinstance(fork, MapStep) else tallies.total
    room = min(parallel - tallies.running, tallies.not_started)
    if room <= 0:
        return None
    restart = min(room, tallies.reset)
    if restart:
        walk.effects["restart"] = restart
    first = tallies.started + tallies.reset
    if not isinstance(fork, MapStep) or room == restart:
        return None
    try:
        elements = elements_of(fork, walk.seen)
        if len(elements) != tallies.total:
            raise BadResult(f"over: {'.'.join(fork.over)} has changed. Resume at {fork.name} to begin again.")
    except BadResult as error:
        walk.effects["cancel_branches"] = True
        return fail_step(walk, join, str(error))
    round_ = walk.now_of("round")
    walk.effects["spawn"] = tuple(_elements(fork, round_, elements, range(first, first + room - restart)))
    return None


def _fail_join(walk: Walk, join: JoinStep, tallies: Tallies) -> str | None:
    if tallies.running:
        walk.effects["cancel_branches"] = True
    bad = tallies.failed + tallies.cancelled
    return fail_step(walk, join, f"{bad:,} of {tallies.total:,} branches did not succeed")


def _join(walk: Walk, join: JoinStep, tallies: Tallies, results: Mapping[Any, Mapping[str, Any]]) -> str | None:
    fork = walk.chain.parting(walk.chain.forks[join.name])
    new: dict[str, Any]
    if isinstance(fork, MapStep):
        if decide(join, tallies) is not Decision.SUCCEED:
            return fail_step(
                walk, join, f"{join.needed(tallies.total):,} branches must succeed; there are {tallies.total:,}"
            )
        new = {fork.into: [_own(results.get(index)) for index in range(tallies.total)]}
    else:
        before = walk.seen.get("branches")
        kept = before if isinstance(before, Mapping) else {}
        new = {"branches": {**kept, **{name: dict(result) for name, result in results.items()}}}
    try:
        walk.assign(new)
    except BadResult as error:
        return fail_step(walk, join, str(error))
    return join.next


def _own(result: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if result is None else dict(result)
