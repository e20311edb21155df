"""Validate the graph of a definition: scopes, unreachable steps, paths to an end."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from timers.domain.chains.definition import FINALLY, WHOLE, Chain, Scope
from timers.domain.chains.steps import EndStep, JoinStep, MapStep, PartingStep
from timers.domain.errors import ErrorCollector
from timers.exceptions import InvalidRequest


def check_graph(chain: Chain, mistakes: ErrorCollector) -> Chain:
    """Return the chain with the scopes of its steps. Raises InvalidRequest for a graph that orders cannot pass through.

    All names in the chain must already be known to be steps (see targets.py).
    """
    forks = {step.join: name for name, step in chain.steps.items() if isinstance(step, PartingStep)}
    scopes = _Scopes(chain, forks, mistakes).find()
    for name in chain.steps:
        if name not in scopes and not _is_shared_end(chain, name, scopes):
            what = "is a step that nothing reaches. Lead to it, or remove it."
            mistakes.add(InvalidRequest(f"steps.{name}", what))
    mistakes.raise_if_any()
    _check_ways_to_an_end(chain, mistakes)
    mistakes.raise_if_any()
    return replace(chain, scopes={name: scope for name, scope in scopes.items() if scope is not None}, forks=forks)


def _is_shared_end(chain: Chain, name: str, scopes: dict[str, Scope | None]) -> bool:
    return isinstance(chain.steps[name], EndStep) and name in scopes


class _Scopes:
    """Walks from the first step of each scope and records the scope of each step."""

    def __init__(self, chain: Chain, forks: dict[str, str], mistakes: ErrorCollector) -> None:
        self._chain = chain
        self._forks = forks
        self._mistakes = mistakes
        self._found: dict[str, Scope | None] = {}
        self._firsts: deque[tuple[Scope, str, str]] = deque()
        """Scopes to walk: the scope, its first step, and the field that names this step."""

    def find(self) -> dict[str, Scope | None]:
        """Return the scope of each reachable step; None for the ends."""
        chain = self._chain
        self._firsts.append((WHOLE, chain.start, "start"))
        if chain.finally_ is not None:
            self._firsts.append((FINALLY, chain.finally_, "finally"))
        while self._firsts:
            self._walk(*self._firsts.popleft())
        if chain.on_deadline.target is not None:
            self._enter(WHOLE, chain.on_deadline.target, "on_deadline.goto", deque())
        return self._found

    def _walk(self, scope: Scope, first: str, field: str) -> None:
        to_do: deque[str] = deque()
        self._enter(scope, first, field, to_do)
        while to_do:
            name = to_do.popleft()
            step = self._chain.steps[name]
            for way in step.exits():
                field = f"steps.{name}.{way.field}"
                if way.opens_branch is not None:
                    branch = None if isinstance(step, MapStep) else way.opens_branch
                    self._firsts.append((Scope(name, branch), way.target, field))
                else:
                    self._enter(scope, way.target, field, to_do, from_step=name)

    def _enter(self, scope: Scope, target: str, field: str, to_do: deque[str], from_step: str = "") -> None:
        step = self._chain.steps[target]
        if isinstance(step, EndStep):
            self._found[target] = None
            return
        if isinstance(step, JoinStep) and self._forks.get(target) != from_step:
            fork = self._forks.get(target)
            if scope.fork is None or scope.fork != fork:
                what = f'"{target}" is the join of "{fork}": only its branches lead there. Go to "{fork}".'
                self._mistakes.add(InvalidRequest(field, what))
            return
        known = self._found.get(target)
        if known is None:
            self._found[target] = scope
            to_do.append(target)
        elif known != scope:
            what = f'leads from {scope} to "{target}", which belongs to {known}. A step belongs to one of them only.'
            self._mistakes.add(InvalidRequest(field, what))


def _check_ways_to_an_end(chain: Chain, mistakes: ErrorCollector) -> None:
    ways = {
        name: {way.target for way in step.exits() if way.is_regular} for name, step in chain.steps.items()
    }  # fmt: skip
    arrivals: dict[str, list[str]] = {name: [] for name in chain.steps}
    for name, targets in ways.items():
        for target in targets:
            arrivals[target].append(name)
    good = {name for name, step in chain.steps.items() if isinstance(step, EndStep)}
    if not good:
        mistakes.add(InvalidRequest("steps", 'no way leads to an end. Add a step of the kind "end" and lead to it.'))
        return
    to_do = deque(good)
    while to_do:
        for name in arrivals[to_do.popleft()]:
            if name not in good:
                good.add(name)
                to_do.append(name)
    lost = [name for name in chain.steps if name not in good]
    while lost:
        cycle = _cycle(ways, lost)
        words = " → ".join([*cycle, cycle[0]] if len(cycle) < 12 else [*cycle[:10], "...", cycle[0]])
        what = f"is in a cycle with no exit: {words}. Lead out of it by a choice."
        mistakes.add(InvalidRequest(f"steps.{cycle[0]}", what))
        closed = _reaching(arrivals, cycle)
        lost = [name for name in lost if name not in closed]


def _cycle(ways: dict[str, set[str]], lost: list[str]) -> list[str]:
    """Return a cycle among steps that reach no end: each of them leads to another one."""
    seen: dict[str, int] = {}
    name = lost[0]
    while name not in seen:
        seen[name] = len(seen)
        name = min(ways[name])
    return list(seen)[seen[name] :]


def _reaching(arrivals: dict[str, list[str]], names: Iterable[str]) -> set[str]:
    """Return the steps that lead to some of these, and these themselves."""
    found = set(names)
    to_do = deque(found)
    while to_do:
        for name in arrivals[to_do.popleft()]:
            if name not in found:
                found.add(name)
                to_do.append(name)
    return found
