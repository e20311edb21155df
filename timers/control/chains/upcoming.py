"""Orders that have not begun are timers: withdraw them, or change their initial variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from timers.control.chains.find import find_chain
from timers.control.change import cancel_timer, update_timer
from timers.control.find_timer import lock_timer
from timers.database import transaction
from timers.domain.chains.steps import readers
from timers.domain.execution_id import parse as parse_id
from timers.engine.orders.cancelling import has_orders
from timers.engine.under_way import under_way_of
from timers.exceptions import NotAllowedNow, TimersError
from timers.models import Timer
from timers.models.timer_rows import timer_of_id

_HAS_BEGUN = "Use the verbs of orders that have begun, with its id."


def withdraw_order(group: str, chain: str, name: str, *, reason: str = "", actor: str = "") -> Timer:
    """Cancel an order before it begins; for a timer that begins orders repeatedly, this one and all later ones.

    Args:
        group: The name of the group.
        chain: The name of the chain.
        name: The name of the order's timer.
        reason: Why, for the record.
        actor: Who requests it; empty: the current actor.

    Raises:
        TimerNotFound: There is no such chain, or no timer of that name.
        NotAllowedNow: It is not an order of the chain, it has begun, or an order of its timer is under way: the timer
            is cancelled together with all of them.
    """
    find_chain(group, chain)
    with transaction.atomic():
        timer = _lock_upcoming(group, chain, name)
        if _has_begun(timer):
            raise NotAllowedNow(
                f"name: an order of {name!r} is under way. Cancel that order first, or pause the timer {name!r}."
            )
        return cancel_timer(group, name, reason=reason, actor=actor).timer


def change_order(group: str, chain: str, name: str, *, variables: Mapping[str, Any], actor: str = "") -> Timer:
    """Set variables of an order before it begins; the other variables are unchanged.

    Args:
        group: The name of the group.
        chain: The name of the chain.
        name: The name of the order's timer.
        variables: The variables to set.
        actor: Who requests it; empty: the current actor.

    Raises:
        InvalidRequest: The variables are invalid.
        TimerNotFound: There is no such chain, or no timer of that name.
        NotAllowedNow: It is not an order of the chain, or it has begun.
    """
    find_chain(group, chain)
    given = readers.variables(variables, "variables")
    with transaction.atomic():
        timer = _lock_upcoming(group, chain, name)
        merged = {**(timer.payload if isinstance(timer.payload, Mapping) else {}), **given}
        readers.check_size(merged, "variables")
        return update_timer(group, name, payload=merged, actor=actor)


def check_is_of_chain(timer: Timer, chain: str) -> None:
    """Raise NotAllowedNow for a timer that does not begin orders of this chain of its group."""
    action = timer.action if timer.action is not None else timer.group.action
    is_chain = isinstance(action, Mapping) and action.get("kind") == "chain"
    if not is_chain or action.get("chain") != chain:
        raise NotAllowedNow(f"name: timer {timer.name!r} is not an order of chain {chain!r}.")


def why_no_order(order: str) -> TimersError | None:
    """Return the error of an operation on an order that has not begun; None if there is no such order."""
    found = timer_of_id(parse_id(order).timer_id)
    if found is None:
        return None
    timer, _ = found
    action = timer.action if timer.action is not None else timer.group.action
    if timer.next_fire_at is None or not isinstance(action, Mapping) or action.get("kind") != "chain":
        return None
    return NotAllowedNow(
        f"order: {timer.name!r} of chain {action.get('chain')!r} in group {timer.group.name!r} has not begun. "
        "Start, change or withdraw it by its name."
    )


def _has_begun(timer: Timer) -> bool:
    """Return whether an order of a locked timer is under way, or about to begin; failed ones are kept in any case.

    Where orders may overlap, the timer's row does not show them. An execution becomes an order, never the reverse, so
    executions are looked at first.
    """
    if timer.open_execution is not None:
        return True
    return bool(under_way_of(timer.group_id, [timer.id])) or has_orders(timer.id)


def _lock_upcoming(group: str, chain: str, name: str) -> Timer:
    timer = lock_timer(group, name)
    check_is_of_chain(timer, chain)
    if timer.state not in (Timer.State.ACTIVE, Timer.State.PAUSED):
        raise NotAllowedNow(f"name: order {name!r} is {timer.state}. {_HAS_BEGUN}")
    if timer.next_fire_at is None:
        raise NotAllowedNow(f"name: order {name!r} has begun. {_HAS_BEGUN}")
    return timer
