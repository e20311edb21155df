"""Events that can happen to an order. `turn` and `round` distinguish late or repeated events from valid ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from timers.domain.chains.order import SUCCEEDED, Tallies


@dataclass(frozen=True, slots=True)
class Started:
    """A pending order begins: a new one, or a branch or sub-chain that restarts where it ended without success."""

    tallies: Tallies | None = None
    """Required if the order restarts at a join."""


@dataclass(frozen=True, slots=True)
class StepSucceeded:
    """The claimed step returned a result. The event is ignored if its `turn` is not the order's."""

    result: Any = None
    turn: int | None = None


@dataclass(frozen=True, slots=True)
class StepFailed:
    """An attempt of the claimed step failed, timed out, or was lost with its node."""

    error: str
    may_retry: bool = True
    retry_after: float | None = None
    """Seconds until the next attempt, if the step requested a delay."""
    turn: int | None = None


@dataclass(frozen=True, slots=True)
class TimeOver:
    """`available_at` of a waiting or awaiting order was reached."""

    turn: int | None = None


@dataclass(frozen=True, slots=True)
class BranchEnded:
    """A branch ended. Its outcome is in the tallies, which were counted under the lock of the parent."""

    round: int
    tallies: Tallies


@dataclass(frozen=True, slots=True)
class BranchesCollected:
    """Results of the branches that succeeded, by name or index: the answer to `Moves.collect`."""

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
    """Whether it has an order that can restart."""


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
    """`deadline_at` of the order was reached."""


@dataclass(frozen=True, slots=True)
class StatesChanged:
    """Steps or the chain were stopped, skipped or activated; the new states are passed with the event."""


@dataclass(frozen=True, slots=True)
class Suspended:
    """A person suspends the order."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Resumed:
    """A person resumes a suspended order, or restarts a failed one."""

    at: str | None = None
    """Step to continue from; None: the present one, where successful branches and sub-chains are kept."""
    variables: Mapping[str, Any] = field(default_factory=dict)
    """Variables to set before."""
    tallies: Tallies | None = None
    """Required for an order that failed, or was suspended, at a join."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A person makes this order skip its present step."""

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
    """The order is cancelled by a person, by the end of its parent's join, or by the end of a step asked to stop."""

    reason: str = ""
    turn: int | None = None


Event = (
    Started | StepSucceeded | StepFailed | TimeOver | BranchEnded | BranchesCollected | SubChainEnded | Approved
    | Refused | Signalled | DeadlinePassed | StatesChanged | Suspended | Resumed | Skipped | Moved
    | Reset | Cancelled
)  # fmt: skip
"""Union of all events."""
