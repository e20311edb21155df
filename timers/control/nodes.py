"""What people ask of nodes.

A wish for a node is kept on its row, and its supervisor reads it with each heartbeat: it is followed within one
interval. It belongs to this incarnation: a node whose process is started anew is active again, whatever was asked of
the one before; one that was taken for dead and comes back in the same process goes on as it was asked to.
"""

from __future__ import annotations

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
    """Let a node (its id, or its name) take no new work, end what it runs, and stay up without any.

    What it holds and has not begun goes back at once, for others. Its own limits alone end what it runs. Raises
    TimerNotFound, and NotAllowedNow for a node that has ended or is asked to stop.
    """
    return _ask("node.drain", node, Node.Wish.DRAIN, reason, actor)


def activate_node(node: int | str, *, reason: str = "", actor: str = "") -> Node:
    """Let a drained node take work again. Raises as drain_node does."""
    return _ask("node.activate", node, Node.Wish.NONE, reason, actor)


def stop_node(node: int | str, *, reason: str = "", actor: str = "") -> Node:
    """End a node as SIGTERM does: it drains, within its --drain-timeout, and its process ends.

    This is not called back. Raises TimerNotFound, and NotAllowedNow for a node that has ended.
    """
    return _ask("node.stop", node, Node.Wish.STOP, reason, actor)


def forget_node(node: int | str, *, reason: str = "", actor: str = "") -> int:
    """Remove what is recorded of a node that has ended: one start of it by its id, all of them by its name.

    Its history, in the ledger and the cluster's events, stays. A node that has ended is removed by itself after
    TIMERS_NODE_RETENTION days. Returns the number of starts that were removed.

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
            raise NotAllowedNow(f"node {row.name} is asked to stop, which is not called back; start it anew")
        if row.wish == wish:
            entry.nothing()
            return row
        now = clock.now()
        row.wish, row.wish_reason, row.wished_by, row.wished_at = wish, reason, actor, now
        # Its heartbeat writes the other columns.
        row.save(update_fields=["wish", "wish_reason", "wished_by", "wished_at"])
        record(f"node {_ASKED[wish]}", row.name, by_whom(actor, reason), now)
    return row


def _locked(node: int | str, entry: Entry) -> Node:
    """The node of that id, or the living one of that name (else the one that ended last)."""
    rows = Node.objects.select_for_update(no_key=True)
    if isinstance(node, int):
        row = rows.filter(id=node).first()
    else:
        row = rows.filter(name=node, state__in=Node.LIVE).first() or rows.filter(name=node).order_by("-id").first()
    if row is None:
        raise TimerNotFound(f"there is no node {node!r}")
    if row.state not in Node.LIVE:
        raise NotAllowedNow(f"node {row.name} is {row.state}: its process has ended")
    entry.name = row.name
    return entry.watch(row)
