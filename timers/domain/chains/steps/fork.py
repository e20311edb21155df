"""The steps that split and join an order: fork, map, join."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from timers.domain.chains.limits import MAX_BRANCHES, MAX_ELEMENTS
from timers.domain.chains.steps import readers
from timers.domain.chains.steps.on_error import FAIL, OnError, read_on_error, written
from timers.domain.chains.steps.spec_field import spec_field
from timers.domain.chains.steps.step import Exit, NextStep, Step
from timers.exceptions import InvalidRequest

ALL = "all"
ANY = "any"
_JOIN = 'Name the step of the kind "join" at which the branches end.'


def branches(given: Any, field: str) -> tuple[tuple[str, str], ...]:
    """Parse pairs of a branch's name and its first step."""
    if not isinstance(given, Mapping) or not given:
        raise InvalidRequest(field, 'must be an object such as {"invoice": "write-invoice"}', given=given)
    if len(given) > MAX_BRANCHES:
        raise InvalidRequest(field, f"may have at most {MAX_BRANCHES:,} branches; this has {len(given):,}")
    return tuple(
        (readers.variable(name, field), readers.step_name(first, f"{field}.{name}")) for name, first in given.items()
    )


def join_mode(given: Any, field: str) -> str | int:
    """Parse a join mode: all, any, or the number of branches that must succeed."""
    if given in (ALL, ANY) and isinstance(given, str):
        return str(given)
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= MAX_ELEMENTS:
        raise InvalidRequest(field, f"must be all, any, or a whole number from 1 to {MAX_ELEMENTS:,}", given=given)
    return given


@dataclass(frozen=True, slots=True, kw_only=True)
class PartingStep(Step):
    """A step at which branches begin."""

    join: str = spec_field(readers.step_name, remedy=_JOIN)
    delay: float = spec_field(readers.seconds(), default=0)

    @property
    def skips_to(self) -> str:
        return self.join


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkStep(PartingStep):
    """Begin all branches at once. Each is an order of its own, which ends when it reaches the join."""

    kind: ClassVar[str] = "fork"

    branches: tuple[tuple[str, str], ...] = spec_field(
        branches, dict, remedy='Name the first step of each branch, such as {"invoice": "write-invoice"}.'
    )

    def exits(self) -> Iterator[Exit]:
        for name, first in self.branches:
            yield Exit(f"branches.{name}", first, name, opens_branch=name)
        yield Exit("join", self.join)


@dataclass(frozen=True, slots=True, kw_only=True)
class MapStep(PartingStep):
    """Begin a branch for each element of a list, at most `parallel` at once."""

    kind: ClassVar[str] = "map"

    over: tuple[str, ...] = spec_field(
        readers.path, ".".join, remedy="Name the variable that holds the list of elements."
    )
    branch: str = spec_field(readers.step_name, remedy="Name the first step that each element takes.")
    element: str = spec_field(readers.variable, default="element")
    """Variable of a branch that contains its element."""
    parallel: int = spec_field(readers.count(1, MAX_ELEMENTS), default=10)
    into: str = spec_field(readers.variable, default="results")
    """Variable that contains the list of results, in the order of the elements."""
    on_error: OnError = spec_field(read_on_error("suspend", "fail"), written, default=FAIL)
    """What follows if the variable is not a list of at most 10,000 elements."""

    def exits(self) -> Iterator[Exit]:
        yield Exit("branch", self.branch, f"each of {'.'.join(self.over)}", opens_branch="")
        yield Exit("join", self.join)
        if self.on_error.target is not None:
            yield Exit("on_error.goto", self.on_error.target, "on error", is_regular=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinStep(NextStep):
    """Wait for the branches of one fork or map. The order itself waits here from the fork on."""

    kind: ClassVar[str] = "join"
    can_be_passed: ClassVar[bool] = False

    delay: float = 0
    mode: str | int = spec_field(join_mode, default=ALL)
    """Number of branches that must succeed: all, any (one) or a number."""
    on_branch_failure: str = spec_field(readers.one_of("fail", "wait", "ignore"), default="fail")
    on_error: OnError = spec_field(read_on_error("suspend", "fail"), written, default=FAIL)
    """What follows if the join fails."""

    def needed(self, total: int) -> int:
        """Return the number of branches, of `total`, that must succeed."""
        return total if self.mode == ALL else 1 if self.mode == ANY else int(self.mode)
