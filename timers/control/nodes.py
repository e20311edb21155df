"""Requests to nodes: drain, activate, stop, forget.

The desired state of a node is stored in its row, and its supervisor reads it with each heartbeat: it takes effect
within one interval. It belongs to this incarnation: a node whose process is restarted is active again, whatever was
requested of the previous one. A node that was declared dead and comes back in the same process keeps its desired state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from timers import clock
from timers.control.audit import Entry, audited
from timers.control.names import by_whom, check_text
from timers.engine.events import record
from timers.exceptions import NotAllowedNow, TimerNotFound
from timers.models import Claim, Leadership, Node

_ASKED: Final = {
    Node.Wish.NONE: "asked to take work again",
    Node.Wish.DRAIN: "asked to drain",
    Node.Wish.STOP: "asked to stop",
}


def drain_node(node: int | str, *, reason: str = "", actor: str = "") -> Node:
    """Drain a node: it takes no new work, finishes its running executions, and stays up.

    Claimed executions that have not begun are released at once, for other nodes. Only their own limits end the running
    ones.

    Args:
        node: id or name of the node.
        reason: why, for the record.
        actor: who requests it; empty: the current actor.

    Raises:
        TimerNotFound: there is no such node.
        NotAllowedNow: the node has ended or has been requested to stop, or several live nodes have the name.
    """
    return _ask("node.drain", node, Node.Wish.DRAIN, reason, actor)


def activate_node(node: int | str, *, reason: str = "", actor: str = "") -> Node:
    """Let a drained node take work again.

    Args:
        node: id or name of the node.
        reason: why, for the record.
        actor: who requests it; empty: the current actor.

    Raises:
        TimerNotFound: there is no such node.
        NotAllowedNow: the node has ended or has been requested to stop, or several live nodes have the name.
    """
    return _ask("node.activate", node, Node.Wish.NONE, reason, actor)


def stop_node(node: int | str, *, reason: str = "", actor: str = "") -> Node:
    """Stop a node as SIGTERM does: it drains, within its --drain-timeout, and its process ends.

    This cannot be undone.

    Args:
        node: id or name of the node.
        reason: why, for the record.
        actor: who requests it; empty: the current actor.

    Raises:
        TimerNotFound: there is no such node.
        NotAllowedNow: the node has ended, or several live nodes have the name.
    """
    return _ask("node.stop", node, Node.Wish.STOP, reason, actor)


def forget_node(node: int | str, *, reason: str = "", actor: str = "") -> int:
    """Delete the records of a node that has ended.

    Its history, in the ledger and the cluster's events, is kept. A node that has ended is deleted automatically after
    TIMERS_NODE_RETENTION days.

    Args:
        node: an id: that incarnation; a name: all incarnations of the name.
        reason: why, for the record.
        actor: who requests it; empty: the current actor.

    Returns:
        The number of incarnations that were deleted.

    Raises:
        TimerNotFound: there is no such node.
        NotAllowedNow: it is alive, still holds claims, or holds the lead of its partition although it has stopped.
    """
    check_text("reason", reason)
    with audited("node.forget", actor) as entry:
        rows = Node.objects.select_for_update().order_by("id")
        found = list(rows.filter(id=node) if isinstance(node, int) else rows.filter(name=node))
        if not found:
            raise TimerNotFound(f"there is no node {node!r}")
        for row in found:
            _check_forgettable(row)
        entry.name = entry.gone(found[-1]).name
        entry.told(starts=len(found), **({"reason": reason} if reason else {}))
        record("node forgotten", entry.name, by_whom(actor, reason), clock.now())
        Node.objects.filter(id__in=[row.id for row in found]).delete()
    return len(found)


def _check_forgettable(row: Node) -> None:
    if row.state in Node.LIVE:
        raise NotAllowedNow(
            f"node {row.name} is {row.state}. Stop it first; one whose process is gone is declared dead by any live"
            " node when its lease has ended."
        )
    if claims := Claim.objects.filter(node_id=row.id).count():
        raise NotAllowedNow(
            f"node {row.name} is {row.state} and still holds {claims} claim{'' if claims == 1 else 's'}: any live node"
            " rescues what is in them. Start one, and try again when it has."
        )
    held = Leadership.objects.filter(node_id=row.id, held_precedence__isnull=False).first()
    if held is not None:
        raise NotAllowedNow(
            f"node {row.name} has stopped and holds the lead of partition {held.partition}: hand the lead over first."
        )


def _ask(verb: str, node: int | str, wish: Node.Wish, reason: str, actor: str) -> Node:
    check_text("reason", reason)
    with audited(verb, actor) as entry:
        row = _locked(node, entry)
        if row.wish == Node.Wish.STOP and wish != Node.Wish.STOP:
            raise NotAllowedNow(f"node {row.name} is stopping, which cannot be undone. Start it again afterwards.")
        if row.wish == wish:
            entry.nothing()
            return row
        now = clock.now()
        row.wish, row.wish_reason, row.wished_by, row.wished_at = wish, reason, actor, now
        # The node's heartbeat writes the other columns.
        row.save(update_fields=["wish", "wish_reason", "wished_by", "wished_at"])
        record(f"node {_ASKED[wish]}", row.name, by_whom(actor, reason), now)
    return row


def _locked(node: int | str, entry: Entry) -> Node:
    """Lock and return the node of that id, or the live node of that name (else the one that ended last)."""
    rows = Node.objects.select_for_update(no_key=True)
    if isinstance(node, int):
        row = rows.filter(id=node).first()
    else:
        row = _only_live(list(rows.filter(name=node, state__in=Node.LIVE).order_by("id")))
        row = row or rows.filter(name=node).order_by("-id").first()
    if row is None:
        raise TimerNotFound(f"there is no node {node!r}")
    if row.state not in Node.LIVE:
        raise NotAllowedNow(f"node {row.name} is {row.state}: its process has ended")
    entry.name = row.name
    return entry.watch(row)


def _only_live(found: Sequence[Node]) -> Node | None:
    """Return the live node of a name; None: there is none. Raise NotAllowedNow if several have the name."""
    if len(found) > 1:
        places = ", ".join(f"{row.id} (pid {row.pid} on {row.host})" for row in found)
        raise NotAllowedNow(f"node: {len(found)} live nodes are named {found[0].name}. Give the id of one: {places}.")
    return found[0] if found else None
