"""Cluster modes: which nodes may share a partition, which of them leads it, and when the lead changes.

In a **distributed** partition every node claims work. In a **passive** one only the leader does: the exclusive node
(the primary, precedence 0), or one of its backups (precedence 1, 2, ...) while the primary is not available.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from timers.exceptions import InvalidRequest

DISTRIBUTED: Final = "distributed"
EXCLUSIVE: Final = "exclusive"
BACKUP: Final = "backup"
MODES: Final = (DISTRIBUTED, EXCLUSIVE, BACKUP)

HANDOVER: Final = "handover"
HOLD: Final = "hold"
ON_STOP: Final = (HANDOVER, HOLD)

AUTO: Final = "auto"
MANUAL: Final = "manual"
FAILBACK: Final = (AUTO, MANUAL)

LEAD: Final = "lead"
PLACEMENTS: Final = (DISTRIBUTED, LEAD)

MAX_PRECEDENCE: Final = 1000


@dataclass(frozen=True, slots=True)
class NodeMode:
    """How a node shares its partition with others, from its start options."""

    kind: str = DISTRIBUTED
    precedence: int = 0
    """The live node with the lowest precedence leads; 0 for all but backups."""
    on_stop: str = HANDOVER
    """Whether another node takes over after a clean stop of the leader."""
    failback: str = AUTO
    """Whether a leading backup returns the lead when a node of lower precedence is ready."""

    @property
    def is_passive(self) -> bool:
        """Whether the node claims work only while it leads its partition."""
        return self.kind != DISTRIBUTED

    @classmethod
    def of(
        cls,
        mode: str = DISTRIBUTED,
        precedence: int | None = None,
        on_stop: str | None = None,
        failback: str | None = None,
        *,
        allow_execution: bool = True,
    ) -> NodeMode:
        """Build a mode from the options of a node; None: the option is not given.

        Raises:
            InvalidRequest: An option does not fit the mode.
        """
        if mode not in MODES:
            raise InvalidRequest("--mode", f"unknown mode. Use one of {', '.join(MODES)}", given=mode)
        if mode == DISTRIBUTED:
            for option, value in (("--precedence", precedence), ("--on-stop", on_stop), ("--failback", failback)):
                if value is not None:
                    raise InvalidRequest(option, f"has no meaning for --mode {mode}. Leave it out", given=value)
        elif not allow_execution:
            raise InvalidRequest("--mode", "needs workers. Leave out --no-execution and --workers 0", given=mode)
        if mode == EXCLUSIVE and precedence:
            raise InvalidRequest("--precedence", "is 0 for --mode exclusive. Leave it out", given=precedence)
        if mode == BACKUP and (precedence is None or not 1 <= precedence <= MAX_PRECEDENCE):
            problem = f"is required for --mode backup. Use a number from 1 to {MAX_PRECEDENCE:,}, one for each backup"
            raise InvalidRequest("--precedence", problem, given=precedence)
        return cls(mode, precedence or 0, on_stop or HANDOVER, failback or AUTO)


SHARED: Final = NodeMode()
"""Default mode of a node: distributed."""


@dataclass(frozen=True, slots=True)
class Member:
    """A live node of a partition, with the fields that the rules need."""

    id: int
    """Id that rises with each start of a node."""
    name: str
    mode: NodeMode
    allow_execution: bool = True
    is_ready: bool = True
    """Whether its workers can claim, its heartbeat is recent, and it was not asked to drain or stop."""
    is_draining: bool = False
    """Whether it drains or stops, or was asked to."""


@dataclass(frozen=True, slots=True)
class Lead:
    """Recorded leadership of a partition."""

    node_id: int | None = None
    """Id of the leader; None: there is none."""
    held_precedence: int | None = None
    """Set if the leader has stopped and kept the lead: only a node with this or a lower precedence takes it."""
    is_pinned: bool = False
    """Whether a person chose the leader: it returns the lead only on a person's request."""
    has_had_primary: bool = False
    """Whether an exclusive node has led the partition before."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the leader."""

    to: Member
    reason: str
    has_gap: bool
    """Whether the partition had no leader before the change."""


def clash(partition: str, mode: NodeMode, allow_execution: bool, live: Sequence[Member]) -> str:
    """Return why a node must not join a partition with these live nodes; empty: it may.

    A node without execution claims nothing and conflicts with no other node.
    """
    if not allow_execution:
        return ""
    others = [member for member in live if member.allow_execution]
    for other in others:
        if other.mode.is_passive != mode.is_passive:
            return (
                f"--mode: {mode.kind} clashes with node {other.name}, which is {other.mode.kind} in partition"
                f" {partition}. Use another --partition, or stop that node first."
            )
    if not mode.is_passive:
        return ""
    same = next((other for other in others if other.mode.precedence == mode.precedence), None)
    if same is None:
        return ""
    if mode.kind == EXCLUSIVE:
        return (
            f"--mode: partition {partition} has an exclusive node, {same.name}. Start this node with --mode backup"
            f" --precedence {_free_precedence(others)}, or wait until that node has stopped or is declared dead."
        )
    return (
        f"--precedence: {mode.precedence} is taken by node {same.name} in partition {partition}."
        f" Use another one, such as {_free_precedence(others)}."
    )


def next_leader(members: Sequence[Member], lead: Lead, *, has_lead_groups: bool = False) -> Change | None:
    """Return the change of the leader that is due in a partition; None: no change.

    Args:
        members: Live nodes of the partition.
        lead: Recorded leadership.
        has_lead_groups: Whether the partition has groups with placement lead.
    """
    passive = [member for member in members if member.mode.is_passive]
    if not passive and not has_lead_groups:
        return None
    candidates = _candidates(passive or members)
    holder = next((member for member in members if member.id == lead.node_id), None)
    if holder is not None:
        return _relieve(holder, [each for each in candidates if each.id != holder.id], lead)
    if not candidates:
        return None
    first = candidates[0]
    if not passive:
        return Change(first, "the partition had no leader", has_gap=True)
    if lead.held_precedence is not None:
        if first.mode.precedence > lead.held_precedence:
            return None
        return Change(first, "it returned after a stop that held the lead", has_gap=True)
    if first.mode.precedence > 0 and not lead.has_had_primary:
        return None
    return Change(first, "the leader had ended" if lead.node_id else "the partition had no leader", has_gap=True)


def successor(members: Sequence[Member], lead: Lead, to: str = "") -> Member | str:
    """Return the node that takes the lead at a person's request, or the reason why there is none.

    Args:
        members: Live nodes of the partition.
        lead: Recorded leadership.
        to: Name of the node that takes the lead; empty: the best one that does not lead.
    """
    passive = [member for member in members if member.mode.is_passive]
    candidates = [each for each in _candidates(passive or members) if each.id != lead.node_id]
    if not to:
        return candidates[0] if candidates else "no other node is ready to lead. Start one, or wait until it is ready."
    found = next((each for each in candidates if each.name == to), None)
    if found is not None:
        return found
    known = next((member for member in members if member.name == to), None)
    if known is None:
        return f"node {to} is not a live node of the partition. Use one of {_names(candidates)}."
    if known.id == lead.node_id:
        return f"node {to} leads already. Use one of {_names(candidates)}."
    return f"node {to} is not ready to lead. Wait until it is active or standby, or use one of {_names(candidates)}."


def _relieve(holder: Member, others: Sequence[Member], lead: Lead) -> Change | None:
    """Return the change that is due while the leader is alive."""
    mode = holder.mode
    if holder.is_draining:
        if not others or (mode.is_passive and mode.on_stop == HOLD):
            return None
        return Change(others[0], f"{holder.name} drains", has_gap=False)
    if not mode.is_passive or mode.failback == MANUAL or lead.is_pinned or not others:
        return None
    if others[0].mode.precedence < mode.precedence:
        return Change(others[0], f"failback from {holder.name}", has_gap=False)
    return None


def _candidates(members: Sequence[Member]) -> list[Member]:
    """Return the nodes that can lead, the best first: by precedence, then the longest running."""
    ready = [each for each in members if each.is_ready and each.allow_execution and not each.is_draining]
    return sorted(ready, key=lambda each: (each.mode.precedence, each.id))


def _free_precedence(members: Sequence[Member]) -> int:
    taken = {member.mode.precedence for member in members}
    return next(number for number in range(1, len(taken) + 2) if number not in taken)


def _names(members: Sequence[Member]) -> str:
    return ", ".join(member.name for member in members) or "the others, once they are ready"
