"""Order: present state of the execution of a chain, as a frozen value, with the states of steps and branches."""

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
"""Waiting until available_at: for the delay of a step, for its retry, or at a step of the kind wait."""
AT_STOPPED: Final = "at_stopped"
AT_LIMIT: Final = "at_limit"
LOCKED: Final = "locked"
JOINING: Final = "joining"
"""Waiting for its branches, or for the order of a sub-chain."""
SUSPENDED: Final = "suspended"
AWAITING: Final = "awaiting"
"""Waiting for a person or a signal, until available_at if it is set."""
FAILED: Final = "failed"
"""Failed; it can be resumed from the step that failed."""
ENDED: Final = "ended"

STATES: Final = (
    PENDING, READY, CLAIMED, WAITING, AT_STOPPED, AT_LIMIT, LOCKED, JOINING, SUSPENDED, AWAITING, FAILED, ENDED,
)  # fmt: skip
RUNNABLE: Final = frozenset({READY, AT_LIMIT, LOCKED})
"""States that the engine exchanges as limits and locks allow; the rules of this package treat them as one."""

SUCCEEDED: Final = "succeeded"
CANCELLED: Final = "cancelled"
OUTCOMES: Final = (SUCCEEDED, FAILED, CANCELLED)


@dataclass(frozen=True, slots=True)
class Branch:
    """Identity of a branch."""

    fork: str
    """Name of the fork or map."""
    name: str | None = None
    """Name of a fork's branch."""
    index: int | None = None
    """Index of a map's element, from 0."""


@dataclass(frozen=True, slots=True)
class Pending:
    """Outcome that applies after the finally steps."""

    outcome: str
    reason: str = ""
    resume_at: str | None = None
    """Step from which it can continue if it failed or was cancelled; None: it cannot."""
    round: int | None = None
    """Round of the branches or the sub-chain of that step."""


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
    """Its own variables; a branch begins with none but its element."""
    inherited: Mapping[str, Any] = field(default_factory=dict)
    """Variables that a branch sees of its parent: the parent's own and inherited ones. They never change."""
    visits: Mapping[str, int] = field(default_factory=dict)
    """Number of visits to each step; reset when a person resumes, moves or resets the order."""
    setbacks: int = 0
    """Number of retries at this step."""
    turn: int = 0
    """Number that rises with each change of place or state by advance."""
    round: int | None = None
    """Turn in which the branches or the sub-chain began that the order waits for, or that failed."""
    parent: Any = None
    """Order of which this one is a branch or a sub-chain."""
    branch: Branch | None = None
    is_suspend_requested: bool = False
    """Whether a person suspended it while it was claimed or joining: it is suspended before the next step."""
    in_finally: bool = False
    pending: Pending | None = None
    deadline_at: datetime | None = None
    outcome: str | None = None
    """Outcome, if it has ended."""

    @property
    def seen(self) -> Mapping[str, Any]:
        """All variables: the payload of a step."""
        return {**self.inherited, **self.variables} if self.inherited else self.variables

    @property
    def scope(self) -> Scope:
        """Part of the chain that it passes through."""
        if self.branch is not None:
            return Scope(self.branch.fork, self.branch.name)
        return FINALLY if self.in_finally else WHOLE

    def but(self, **changes: Any) -> Order:
        """Return a copy with changed fields; dataclasses.replace takes twice as long."""
        new = object.__new__(Order)
        for put, value in zip(_PUT, _READ(self), strict=True):
            put(new, value)
        for name, value in changes.items():
            object.__setattr__(new, name, value)
        return new

    def begin_again(self) -> Order:
        """Return an ended branch or sub-chain as pending again: it continues where it ended."""
        return replace(self, state=PENDING, outcome=None)

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens to it automatically."""
        return self.state in (FAILED, ENDED)


_READ: Final = attrgetter(*(each.name for each in fields(Order)))
_PUT: Final = [vars(Order)[each.name].__set__ for each in fields(Order)]


@dataclass(frozen=True, slots=True)
class StepStates:
    """Stopped and skipped steps of a chain at present."""

    stopped: frozenset[str] = frozenset()
    skipped: frozenset[str] = frozenset()
    is_chain_stopped: bool = False


ALL_ACTIVE: Final = StepStates()


@dataclass(frozen=True, slots=True)
class Tallies:
    """Branches of one round, counted from their rows under the lock of the parent's row."""

    total: int
    started: int
    """Branches that run or have ended; those reset for a restart are not counted."""
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    reset: int = 0
    """Branches that were reset and have not restarted."""

    @property
    def running(self) -> int:
        """Branches that have begun and not ended."""
        return self.started - self.succeeded - self.failed - self.cancelled

    @property
    def not_started(self) -> int:
        """Branches that have not begun, including reset ones."""
        return self.total - self.started
