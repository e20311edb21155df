"""Moves: what the engine writes after an event, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from timers.domain.chains.order import Branch, Order


@dataclass(frozen=True, slots=True)
class NewBranch:
    """A branch to create: a pending order with this one as its parent, to which Started follows."""

    round: int
    branch: Branch
    step: str
    variables: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NewSubOrder:
    """An order of another chain to create; it uses the newest version."""

    round: int
    chain: str
    variables: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Finish:
    """Final outcome of an order."""

    outcome: str
    reason: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)
    """For a branch or a sub-chain: the variables that it returns to its parent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """What follows from one event. If nothing follows, `order` is the unchanged order."""

    order: Order
    """The new value of the order."""
    set_variables: Mapping[str, Any] = field(default_factory=dict)
    """Variables that changed."""
    spawn: tuple[NewBranch, ...] = ()
    """Branches to create. All are created, and those of `restart` pending, before the first one begins: a branch may
    end at once, and then the others are counted."""
    total: int | None = None
    """Total number of branches of the new round, if one begins."""
    restart: int = 0
    """Number of reset branches that restart, the lowest first: they become pending (`begin_again`) and are counted
    again, then Started follows."""
    reset_branches: bool = False
    """Whether failed and cancelled branches of the round are no longer counted; they keep their step and variables."""
    cancel_branches: bool = False
    """Whether branches of the order that have not ended are cancelled."""
    collect: bool = False
    """Whether the join is decided: load the results of the round and continue with BranchesCollected, in this
    transaction."""
    sub_order: NewSubOrder | None = None
    restart_sub_order: bool = False
    """Whether the sub-chain of the round restarts where it failed, if it has ended: pending (`begin_again`), then
    Started. One that still runs its finally steps ends with its outcome, and fails its step again."""
    cancel_sub_order: bool = False
    finish: Finish | None = None
    """The outcome, if the order has ended."""
    park: bool = False
    """Whether the order failed and can be resumed from its step."""
    revoke: bool = False
    """Whether the claim of the order ends: whatever is running cannot finish the step."""
    take_locks: tuple[str, ...] = ()
    """Locks that a claim of the order takes."""
    release_locks: tuple[str, ...] = ()
    """Locks that the order releases."""
    notes: tuple[str, ...] = ()
    """Texts for the history that say what happened."""
