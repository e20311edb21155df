"""Operations on orders: suspend, resume, skip, move, reset, cancel, prioritize, approve, signal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from timers import clock
from timers.control.audit import Entry, audited
from timers.control.chains.upcoming import why_no_order
from timers.control.executions import check_execution
from timers.control.groups import note_order_priorities
from timers.control.spec import check_priority
from timers.database import transaction
from timers.domain.chains import events
from timers.domain.chains.order import ENDED
from timers.engine.advance import lock_timers
from timers.engine.orders.change import OrderChange
from timers.engine.orders.priorities import set_priority
from timers.engine.orders.rows import OrderRow, lock_roots, read_orders
from timers.exceptions import NotAllowedNow, TimerNotFound
from timers.models import ChainOrder, TimerGroup

MakeEvent = Callable[[OrderChange], events.Event]


def suspend_order(order: str, *, reason: str = "", actor: str = "") -> OrderRow:
    """Suspend this order until it is resumed; a running step finishes first.

    Raises:
        TimerNotFound: There is no such order.
        NotAllowedNow: It has ended or failed.
    """
    return _send("order.suspend", order, lambda _: events.Suspended(_words("suspended", reason, actor)), actor)


def resume_order(
    order: str,
    *,
    at: str | None = None,
    variables: Mapping[str, Any] | None = None,
    version: int | str | None = None,
    actor: str = "",
) -> OrderRow:
    """Resume a suspended order, or a failed one from the failed step: the results of earlier steps are kept.

    With a version the order continues with that version, and so do branches that begin again. A sub-chain that begins
    again uses its own newest version with "newest", and keeps its version with a number.

    Args:
        order: The order's id.
        at: The step at which to continue; None: the present one.
        variables: Variables to set before.
        version: The version of its chain to continue with: a number, or "newest"; None: its own.
        actor: Who requests it; empty: the current actor.

    Raises:
        TimerNotFound: There is no such order.
        InvalidRequest: There is no such step or version, the variables are invalid, or the order cannot continue with
            that version: its present step, or a fork whose branches it has, is different there.
        NotAllowedNow: It is neither suspended nor failed.
    """
    told: dict[str, Any] = {"at": at or ""}

    def make(change: OrderChange) -> events.Event:
        if version is not None:
            told["version"] = change.take_version(version, is_elsewhere=at is not None)
        return events.Resumed(at, variables or {}, change.tallies)

    return _send("order.resume", order, make, actor, told)


def skip_step_of(order: str, *, actor: str = "") -> OrderRow:
    """Continue an order after its present step, without running that step."""
    return _send("order.skip", order, lambda _: events.Skipped(actor), actor)


def move_order(order: str, to: str, *, actor: str = "") -> OrderRow:
    """Move an order to another step, suspended or not."""
    return _send("order.move", order, lambda _: events.Moved(to), actor, {"to": to})


def reset_order(order: str, *, actor: str = "") -> OrderRow:
    """Move an order to its first step; its variables are kept."""
    return _send("order.reset", order, lambda _: events.Reset(), actor)


def cancel_order(order: str, *, reason: str = "", actor: str = "") -> OrderRow:
    """Cancel an order: its finally steps run, then it ends as cancelled. A second cancel ends it at once.

    Args:
        order: The order's id.
        reason: Why, for the ledger.
        actor: Who requests it; empty: the current actor.

    Raises:
        TimerNotFound: There is no such order.
    """
    why = _words("cancelled", reason, actor)
    return _send("order.cancel", order, lambda _: events.Cancelled(why), actor, {"reason": why})


def prioritize_order(order: str, priority: int, *, actor: str = "") -> OrderRow:
    """Set the priority of an order, with its branches and sub-chains: higher ones are claimed first.

    Args:
        order: The order's id.
        priority: From -9 to 9.
        actor: Who requests it; empty: the current actor.

    Raises:
        TimerNotFound: There is no such order.
        InvalidRequest: The priority is invalid.
        NotAllowedNow: The order has ended.
    """
    check_priority(priority)
    root, timer_id, name, group = _find(order)
    if priority:
        # Before the order is locked: a transaction that has locked a group may wait for its orders.
        note_order_priorities(group)
    with (
        audited("order.prioritize", actor, subject_id=order, group=group.name, name=name) as entry,
        transaction.atomic(),
    ):
        lock_timers([timer_id])
        lock_roots([root])
        row = read_orders([order]).get(order)
        if row is None:
            raise TimerNotFound(f"order {order} has been deleted")
        if row.order.state == ENDED:
            raise NotAllowedNow(f"order: has ended as {row.order.outcome}; start another one.")
        if row.priority == priority:
            entry.nothing()
            return row
        set_priority(order, priority)
        entry.changed("priority", row.priority, priority)
    row.priority = priority
    return row


def approve_order(order: str, *, actor: str = "") -> OrderRow:
    """Approve the step at which an order waits for approval."""
    return _send("order.approve", order, lambda _: events.Approved(actor), actor)


def refuse_order(order: str, *, reason: str = "", actor: str = "") -> OrderRow:
    """Refuse the approval that an order waits for."""
    return _send("order.refuse", order, lambda _: events.Refused(actor, reason), actor, {"reason": reason})


def signal_order(order: str, name: str, payload: Any = None, *, actor: str = "") -> OrderRow:
    """Send an order the signal that it waits for.

    Args:
        order: The order's id.
        name: The name of the signal.
        payload: JSON from which the step reads variables.
        actor: Who requests it; empty: the current actor.

    Raises:
        TimerNotFound: There is no such order.
        NotAllowedNow: It does not wait for this signal.
    """
    return _send("order.signal", order, lambda _: events.Signalled(name, payload), actor, {"signal": name})


def _send(verb: str, order: str, make: MakeEvent, actor: str, told: Mapping[str, Any] | None = None) -> OrderRow:
    root, timer_id, name, group = _find(order)
    with audited(verb, actor, subject_id=order, group=group.name, name=name) as entry, transaction.atomic():
        change = OrderChange(order, root, timer_id, clock.now())
        before = _place(change.row)
        change.send(make(change))
        change.write()
        _tell(entry, before, _place(change.row), told or {})
    return change.row


def _find(order: str) -> tuple[str, int, str, TimerGroup]:
    """Return the root, the timer id, the name and the group of an order. Raise TimerNotFound."""
    check_execution(order)
    found = (
        ChainOrder.objects.filter(id=order).select_related("group").only("root", "timer_id", "name", "group").first()
    )
    if found is None:
        raise why_no_order(order) or TimerNotFound(f"there is no order {order}")
    return str(found.root), found.timer_id, found.name, found.group


def _place(row: OrderRow) -> dict[str, str]:
    return {"step": row.order.step, "state": row.order.state}


def _tell(entry: Entry, before: dict[str, str], after: dict[str, str], told: Mapping[str, Any]) -> None:
    for name, value in before.items():
        entry.changed(name, value, after[name])
    entry.told(**{name: value for name, value in told.items() if value})


def _words(what: str, reason: str, actor: str) -> str:
    return reason or (f"{what} by {actor}" if actor else what)
