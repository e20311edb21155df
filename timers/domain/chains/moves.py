"""Moves: what the engine writes, in one transaction, after an event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from timers.domain.chains.order import Branch, Order


@dataclass(frozen=True, slots=True)
class NewBranch:
    """A branch to be created: an order with this one as its parent, in the state pending, to which Started follows."""

    round: int
    branch: Branch
    step: str
    variables: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NewSubOrder:
    """An order of another chain to be created; it begins with the newest version."""

    round: int
    chain: str
    variables: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Finish:
    """The final outcome of an order."""

    outcome: str
    reason: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)
    """Of a branch or a sub-chain: the variables that it hands to its parent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """What follows from one event. Without any, `order` is the order that was given."""

    order: Order
    """The order as it is to be from now on."""
    set_variables: Mapping[str, Any] = field(default_factory=dict)
    """The variables that changed."""
    spawn: tuple[NewBranch, ...] = ()
    """All of them are created, and those of `restart` are pending, before the first one begins: a branch may end at
    once, and then the others are counted."""
    total: int | None = None
    """How many branches the new round has in all, where one begins."""
    restart: int = 0
    """How many of the branches that were reset begin again, the lowest first: they become pending (`begin_again`) and
    are counted again, then Started follows."""
    reset_branches: bool = False
    """Branches of the round that failed or were cancelled are no longer counted, and keep their step and variables."""
    cancel_branches: bool = False
    """Branches of the order that have not ended are cancelled."""
    collect: bool = False
    """The join is decided: load the results of the round and go on with BranchesCollected, in this transaction."""
    sub_order: NewSubOrder | None = None
    restart_sub_order: bool = False
    """The sub-chain of the round begins again where it failed, if it has ended: pending (`begin_again`), then Started.
    One that still runs its finally steps ends as it was, and fails its step again."""
    cancel_sub_order: bool = False
    finish: Finish | None = None
    """The order has ended."""
    park: bool = False
    """The order failed and can be resumed from its step."""
    revoke: bool = False
    """The claim of the order ends: whatever runs may not finish the step."""
    take_locks: tuple[str, ...] = ()
    """Locks that a claim of the order takes."""
    release_locks: tuple[str, ...] = ()
    """Locks that the order holds no longer."""
    notes: tuple[str, ...] = ()
    """What happened, in words, for the history."""
