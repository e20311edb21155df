"""Operations on the leadership of a partition: hand it over, release it."""

from __future__ import annotations

from timers.control.audit import audited
from timers.control.names import check_name, check_text
from timers.domain.cluster_modes import Change, Member, successor
from timers.engine.leadership import appoint, live_members, lock
from timers.exceptions import NotAllowedNow, TimerNotFound
from timers.models import Leadership


def hand_over(partition: str = "default", *, to: str = "", reason: str = "", actor: str = "") -> Leadership:
    """Make another node the leader of a partition, at once.

    The previous leader claims nothing more; its running executions continue, and those that have not begun are
    released. The new leader keeps the lead, whatever its --failback, until it ends or the lead is handed over again.
    The leader fires nothing, and the heartbeats of both nodes wait, until the transaction ends: commit it soon.

    Args:
        partition: name of the partition.
        to: name of the node; empty: the ready node of the lowest precedence that does not lead.
        reason: why, for the record.
        actor: who requests it; empty: the current actor.

    Raises:
        TimerNotFound: the partition has no live node.
        NotAllowedNow: the node cannot lead, or there is no other node.
    """
    return _hand_over("partition.hand_over", partition, to, reason, actor)


def release_lead(partition: str = "default", *, reason: str = "", actor: str = "") -> Leadership:
    """Let another node lead the partition instead of the present leader, as by hand_over without a named node.

    Args:
        partition: name of the partition.
        reason: why, for the record.
        actor: who requests it; empty: the current actor.

    Raises:
        TimerNotFound: the partition has no live node.
        NotAllowedNow: there is no other node that can lead.
    """
    return _hand_over("partition.release_lead", partition, "", reason, actor)


def _hand_over(verb: str, partition: str, to: str, reason: str, actor: str) -> Leadership:
    check_name("partition", partition)
    check_text("reason", reason)
    with audited(verb, actor, name=partition) as entry:
        before, members = lock(partition), live_members(partition)
        if not members:
            raise TimerNotFound(f"partition: {partition} has no live node. Start one first.")
        found = successor(members, before.lead, to)
        if not isinstance(found, Member):
            raise NotAllowedNow(f"{'to' if to else 'partition'}: {found}")
        leader = next((member for member in members if member.id == before.lead.node_id), None)
        by = f"handed over by {actor}" if actor else "handed over by hand"
        change = Change(found, f"{by}: {reason}" if reason else by, has_gap=leader is None)
        epoch = appoint(partition, before, change, members, is_pinned=True)
        entry.changed("leader", "" if leader is None else leader.name, found.name)
        entry.changed("epoch", before.epoch, epoch)
        if reason:
            entry.told(reason=reason)
    return Leadership.objects.select_related("node").get(partition=partition)
