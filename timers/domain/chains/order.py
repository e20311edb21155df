"""Order: where the execution of a chain is, as a frozen value, and the states of steps and branches around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from operator import attrgetter
from typing import Any, Final

from timers.domain.chains.definition import FINALLY, WHOLE, Scope

PENDING: Final = "pending"
"""Added, not started."""
READY: Final = "ready"
CLAIMED: Final = "claimed"
WAITING: Final = "waiting"
"""For the delay of a step, for its retry, or at a step of the kind wait; until available_at."""
AT_STOPPED: Final = "at_stopped"
AT_LIMIT: Final = "at_limit"
LOCKED: Final = "locked"
JOINING: Final = "joining"
"""For its branches, or for the order of a sub-chain."""
SUSPENDED: Final = "suspended"
AWAITING: Final = "awaiting"
"""A person or a signal, until available_at where that is set."""
FAILED: Final = "failed"
"""Parked: it can be resumed from the step that failed."""
ENDED: Final = "ended"

STATES: Final = (
    PENDING, READY, CLAIMED, WAITING, AT_STOPPED, AT_LIMIT, LOCKED, JOINING, SUSPENDED, AWAITING, FAILED, ENDED,
)  # fmt: skip
RUNNABLE: Final = frozenset({READY, AT_LIMIT, LOCKED})
"""What the engine changes into each other as limits and locks allow; to the rules of this package they are one."""

SUCCEEDED: Final = "succeeded"
CANCELLED: Final = "cancelled"
OUTCOMES: Final = (SUCCEEDED, FAILED, CANCELLED)


@dataclass(frozen=True, slots=True)
class Branch:
    """Which branch an order is."""

    fork: str
    """The fork or map."""
    name: str | None = None
    """The name of a fork's branch."""
    index: int | None = None
    """The place of a map's element, from 0."""


@dataclass(frozen=True, slots=True)
class Pending:
    """The outcome that applies when the finally steps are done."""

    outcome: str
    reason: str = ""
    resume_at: str | None = None
    """The step from which it can go on, where it failed or was cancelled; None: from none."""
    round: int | None = None
    """The branches or the sub-chain of that step."""


@dataclass(frozen=True, slots=True)
class Order:
    """One order of a chain, or one branch of it."""

    id: Any
    step: str
    state: str = PENDING
    available_at: datetime | None = None
    reason: str = ""
    """Why it is suspended, failed or ended."""
    variables: Mapping[str, Any] = field(default_factory=dict)
    """Its own; a branch begins with none but its element."""
    inherited: Mapping[str, Any] = field(default_factory=dict)
    """What a branch sees of its parent: the parent's own and inherited variables. They do not change while it lives."""
    visits: Mapping[str, int] = field(default_factory=dict)
    """How often it came to each step; a person's resume, move or reset begins the count again."""
    setbacks: int = 0
    """Retries at this step."""
    turn: int = 0
    """Rises with each change of the place or state that advance makes."""
    round: int | None = None
    """The turn in which the branches or the sub-chain began that the order waits for, or that failed."""
    parent: Any = None
    """The order that this one is a branch or a sub-chain of."""
    branch: Branch | None = None
    is_suspend_requested: bool = False
    """A person's suspend came while it was claimed or joining: it is suspended before the next step."""
    in_finally: bool = False
    pending: Pending | None = None
    deadline_at: datetime | None = None
    outcome: str | None = None
    """Where it has ended."""

    @property
    def seen(self) -> Mapping[str, Any]:
        """All variables: the payload of a step."""
        return {**self.inherited, **self.variables} if self.inherited else self.variables

    @property
    def scope(self) -> Scope:
        """The part of the chain that it walks through."""
        if self.branch is not None:
            return Scope(self.branch.fork, self.branch.name)
        return FINALLY if self.in_finally else WHOLE

    def but(self, **changes: Any) -> Order:
        """A copy in which these fields have other values; dataclasses.replace takes twice as long."""
        new = object.__new__(Order)
        for put, value in zip(_PUT, _READ(self), strict=True):
            put(new, value)
        for name, value in changes.items():
            object.__setattr__(new, name, value)
        return new

    def begin_again(self) -> Order:
        """A branch or sub-chain that has ended, pending again: it goes on where it ended."""
        return replace(self, state=PENDING, outcome=None)

    @property
    def is_over(self) -> bool:
        """Whether nothing happens to it by itself any more."""
        return self.state in (FAILED, ENDED)


_READ: Final = attrgetter(*(each.name for each in fields(Order)))
_PUT: Final = [vars(Order)[each.name].__set__ for each in fields(Order)]


@dataclass(frozen=True, slots=True)
class StepStates:
    """What is stopped or skipped of a chain at the moment."""

    stopped: frozenset[str] = frozenset()
    skipped: frozenset[str] = frozenset()
    is_chain_stopped: bool = False


ALL_ACTIVE: Final = StepStates()


@dataclass(frozen=True, slots=True)
class Tallies:
    """The branches of one round, counted from their rows under the lock of the parent's row."""

    total: int
    started: int
    """Branches that run or have ended; those that were reset for another start are left out."""
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    reset: int = 0
    """Branches that were reset and have not been started again."""

    @property
    def running(self) -> int:
        """Branches that have begun and have not ended."""
        return self.started - self.succeeded - self.failed - self.cancelled

    @property
    def not_started(self) -> int:
        """Branches that have to begin yet, those that were reset included."""
        return self.total - self.started
