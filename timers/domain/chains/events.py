"""Events: what can happen to an order. `turn` and `round` tell a late or repeated event from one that counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from timers.domain.chains.order import SUCCEEDED, Tallies


@dataclass(frozen=True, slots=True)
class Started:
    """A pending order begins: a new one, or a branch or sub-chain that begins again where it ended without success."""

    tallies: Tallies | None = None
    """Needed where it begins again at a join."""


@dataclass(frozen=True, slots=True)
class StepSucceeded:
    """The claimed step returned a result. With a `turn` other than the order's the event is ignored."""

    result: Any = None
    turn: int | None = None


@dataclass(frozen=True, slots=True)
class StepFailed:
    """One try of the claimed step failed, ran too long, or was lost with its node."""

    error: str
    may_retry: bool = True
    retry_after: float | None = None
    """Seconds until the next try, where the step said so."""
    turn: int | None = None


@dataclass(frozen=True, slots=True)
class TimeOver:
    """`available_at` of a waiting or awaiting order has come."""

    turn: int | None = None


@dataclass(frozen=True, slots=True)
class BranchEnded:
    """A branch ended; its outcome is in the tallies, which were counted under the lock of the parent."""

    round: int
    tallies: Tallies


@dataclass(frozen=True, slots=True)
class BranchesCollected:
    """The results of the branches that succeeded, by name or index: the answer to `Moves.collect`."""

    round: int
    tallies: Tallies
    results: Mapping[Any, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SubChainEnded:
    """The order of a sub-chain ended."""

    round: int
    outcome: str = SUCCEEDED
    variables: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    has_begun: bool = True
    """Whether there is an order of it that could begin again."""


@dataclass(frozen=True, slots=True)
class Approved:
    """A person approved."""

    by: str = ""
    turn: int | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A person refused."""

    by: str = ""
    reason: str = ""
    turn: int | None = None


@dataclass(frozen=True, slots=True)
class Signalled:
    """A signal arrived."""

    name: str
    payload: Any = None
    turn: int | None = None


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """`deadline_at` of the order has come."""


@dataclass(frozen=True, slots=True)
class StatesChanged:
    """Steps or the chain were stopped, skipped or activated; the new states are given with the event."""


@dataclass(frozen=True, slots=True)
class Suspended:
    """A person suspends the order."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Resumed:
    """A person resumes a suspended order, or redrives a failed one."""

    at: str | None = None
    """The step to go on from; None: where it is. There good results of branches and sub-chains are kept."""
    variables: Mapping[str, Any] = field(default_factory=dict)
    """Variables to set before."""
    tallies: Tallies | None = None
    """Needed for an order that failed, or was suspended, at a join."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A person lets this order skip the step it is at."""

    by: str = ""


@dataclass(frozen=True, slots=True)
class Moved:
    """A person moves the order to another step."""

    to: str


@dataclass(frozen=True, slots=True)
class Reset:
    """A person moves the order to its first step."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A person, the end of its parent's join, or the end of a step that was asked to end cancels the order."""

    reason: str = ""
    turn: int | None = None


Event = (
    Started | StepSucceeded | StepFailed | TimeOver | BranchEnded | BranchesCollected | SubChainEnded | Approved
    | Refused | Signalled | DeadlinePassed | StatesChanged | Suspended | Resumed | Skipped | Moved
    | Reset | Cancelled
)  # fmt: skip
"""The union of all events."""
