"""Chain: a named, versioned graph of steps, as a frozen value that was validated as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from timers.domain.chains.limits import MAX_CAPACITY, MAX_LOCKS, MAX_PRIORITY
from timers.domain.chains.steps import FAIL, ForkStep, MapStep, OnError, PartingStep, Step, readers
from timers.domain.chains.steps.on_error import read_on_error, written
from timers.domain.chains.steps.spec_field import spec_field, written_fields
from timers.exceptions import InvalidRequest

SHARED: Final = "shared"


@dataclass(frozen=True, slots=True)
class Scope:
    """Part of a chain that one kind of order passes through.

    A root order is in the scope of the chain (`fork` is None), and after its end in that of the finally steps. Each
    branch of a fork or map has its own scope.
    """

    fork: str | None = None
    branch: str | None = None
    """Branch of the fork; None in a map."""
    is_finally: bool = False

    def __str__(self) -> str:
        if self.is_finally:
            return "the finally steps"
        if self.fork is None:
            return "the chain itself"
        return (
            f'branch "{self.branch}" of "{self.fork}"' if self.branch is not None else f'the branches of "{self.fork}"'
        )


WHOLE: Final = Scope()
FINALLY: Final = Scope(is_finally=True)


def locks(given: Any, path: str) -> Mapping[str, int | None]:
    """Read locks with their capacities; None for a lock that is declared elsewhere and shared by chains."""
    if not isinstance(given, Mapping):
        raise InvalidRequest(path, 'must be an object such as {"printer": 2}', given=given)
    if len(given) > MAX_LOCKS:
        raise InvalidRequest(path, f"may have at most {MAX_LOCKS} locks; this has {len(given):,}")
    found: dict[str, int | None] = {}
    for name, capacity in given.items():
        readers.name(name, path)
        what = f'must be a whole number from 1 to {MAX_CAPACITY:,}, or "{SHARED}" for a lock that is declared elsewhere'
        if capacity == SHARED and isinstance(capacity, str):
            found[name] = None
        elif isinstance(capacity, bool) or not isinstance(capacity, int) or not 1 <= capacity <= MAX_CAPACITY:
            raise InvalidRequest(f"{path}.{name}", what, given=capacity)
        else:
            found[name] = capacity
    return found


def written_locks(found: Mapping[str, int | None]) -> dict[str, Any]:
    """Return the JSON form of locks."""
    return {name: SHARED if capacity is None else capacity for name, capacity in found.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A validated definition, built by parse.py."""

    description: str = spec_field(readers.text, default="")
    start: str = spec_field(readers.step_name, default="")
    """The first step."""
    priority: int = spec_field(readers.count(-MAX_PRIORITY, MAX_PRIORITY), default=0)
    """Default priority of its orders."""
    variables: Mapping[str, Any] = spec_field(readers.variables, dict, default={})
    """Initial variables of its orders; an order can override them."""
    locks: Mapping[str, int | None] = spec_field(locks, written_locks, default={})
    """Locks that its steps use, with their capacity; None for a lock that is declared elsewhere."""
    deadline: float | None = spec_field(readers.seconds(1), default=None)
    """Seconds from the start of an order to the end of its last step, without the finally steps; None: no deadline."""
    on_deadline: OnError = spec_field(read_on_error("suspend", "fail"), written, default=FAIL)
    finally_: str | None = spec_field(readers.step_name, default=None, key="finally")
    """First of the steps that run at the end of every order, whatever its outcome."""
    steps: Mapping[str, Step] = field(default_factory=dict)
    scopes: Mapping[str, Scope] = field(default_factory=dict, compare=False, repr=False)
    """Scope of each step; steps of the kind end have none."""
    forks: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """Fork or map of each join."""

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, from which parse_chain builds an equal chain."""
        spec = written_fields(self)
        return {"start": self.start, **spec, "steps": {name: step.to_spec() for name, step in self.steps.items()}}

    def parting(self, name: str) -> PartingStep:
        """Return the fork or map with that name."""
        step = self.steps[name]
        assert isinstance(step, PartingStep)
        return step

    def first_of(self, scope: Scope) -> str:
        """Return the first step of a scope."""
        if scope.is_finally:
            assert self.finally_ is not None
            return self.finally_
        if scope.fork is None:
            return self.start
        fork = self.steps[scope.fork]
        if isinstance(fork, MapStep):
            return fork.branch
        assert isinstance(fork, ForkStep)
        return dict(fork.branches)[scope.branch or ""]


def to_json(chain: Chain) -> dict[str, Any]:
    """Return the JSON form of a chain."""
    return chain.to_json()
