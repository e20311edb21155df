"""Public API: define job chains, add orders, stop and skip steps, and manage orders from Python.

    from timers.chains import add_order, chain, create_chain, stop_step

    definition = (
        chain("import")
        .step("fetch", action="orders.fetch", results=["total"])
        .step("notify", action="orders.notify")
    )
    create_chain("sales", "import", definition, actor="ann")
    add_order("sales", "import", "order-4711", variables={"file": "4711.xml"})
    stop_step("sales", "import", "notify", reason="mail server is down", actor="ann")

Each call is its own transaction, or joins the caller's; `for_orders` uses one transaction per order. An invalid
argument raises InvalidRequest, which names every invalid field; a missing object TimerNotFound; an operation that its
state does not allow NotAllowedNow (all in `timers.exceptions`). docs/chains.md describes definitions and the life of
an order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from timers.control.chains import define as _define
from timers.control.chains.add import add_order, start_order
from timers.control.chains.define import delete_chain
from timers.control.chains.locks import delete_lock, set_lock
from timers.control.chains.many import ManyOrders, Refused, for_each_order
from timers.control.chains.many_checks import check_verb
from timers.control.chains.orders import (
    approve_order,
    cancel_order,
    move_order,
    prioritize_order,
    refuse_order,
    reset_order,
    resume_order,
    signal_order,
    skip_step_of,
    suspend_order,
)
from timers.control.chains.steps import activate_step, skip_step, start_chain, stop_chain, stop_step
from timers.control.chains.upcoming import change_order, withdraw_order
from timers.domain.chains.builder import ChainBuilder, chain
from timers.domain.chains.diff import Change
from timers.domain.chains.diff import diff as _diff
from timers.exceptions import TimerNotFound
from timers.insights.chains import (
    ChainView,
    StepCounts,
    StepView,
    definition,
    find_chain,
    find_chains,
    find_steps,
    picture,
    picture_as_svg,
    picture_as_text,
)
from timers.insights.locks import AtLock, LockDetail, LockView, find_locks, get_lock
from timers.insights.one_order import OrderDetail, StepAttempt, history
from timers.insights.one_order import one_order as _one
from timers.insights.order_choice import FILTER, MOST, choose_orders
from timers.insights.order_view import OrderView
from timers.insights.orders import STATES, OrderPage, find_orders
from timers.insights.upcoming_orders import UPCOMING_STATES, UpcomingOrder, UpcomingPage, find_upcoming_orders
from timers.models import Chain

__all__ = [
    "FILTER",
    "MOST",
    "STATES",
    "UPCOMING_STATES",
    "AtLock",
    "Chain",
    "ChainBuilder",
    "ChainView",
    "Change",
    "LockDetail",
    "LockView",
    "ManyOrders",
    "OrderDetail",
    "OrderPage",
    "OrderView",
    "Refused",
    "StepAttempt",
    "StepCounts",
    "StepView",
    "UpcomingOrder",
    "UpcomingPage",
    "activate_step",
    "add_order",
    "approve_order",
    "cancel_order",
    "chain",
    "change_order",
    "compare_versions",
    "create_chain",
    "definition",
    "delete_chain",
    "delete_lock",
    "find_chain",
    "find_chains",
    "find_locks",
    "find_orders",
    "find_steps",
    "find_upcoming_orders",
    "for_orders",
    "get_lock",
    "get_order",
    "history",
    "move_order",
    "picture",
    "picture_as_svg",
    "picture_as_text",
    "prioritize_order",
    "refuse_order",
    "reset_order",
    "resume_order",
    "set_lock",
    "signal_order",
    "skip_step",
    "skip_step_of",
    "start_chain",
    "start_order",
    "stop_chain",
    "stop_step",
    "suspend_order",
    "update_chain",
    "withdraw_order",
]


def create_chain(group: str, name: str, definition: Mapping[str, Any] | ChainBuilder, *, actor: str = "") -> Chain:
    """Create a chain of a group.

    Args:
        group: Name of the group.
        name: Name of the chain, unique in the group.
        definition: The steps, as JSON or as a builder.
        actor: Name of the caller, for the audit trail.

    Returns:
        The chain.

    Raises:
        InvalidRequest: The definition is invalid; each problem has its place.
        TimerExists: The group already has a chain of that name.
        TimerNotFound: The group does not exist.
    """
    return _define.create_chain(group, name, _plain(definition), actor=actor)


def update_chain(
    group: str,
    name: str,
    definition: Mapping[str, Any] | ChainBuilder,
    *,
    version: int | None = None,
    actor: str = "",
) -> Chain:
    """Create a new version of a chain.

    New orders use the new version; orders in progress finish on theirs. A definition equal to the newest version
    changes nothing.

    Args:
        group: Name of the group.
        name: Name of the chain.
        definition: The steps, as JSON or as a builder.
        version: The newest version that the caller read; None: any.
        actor: Name of the caller, for the audit trail.

    Returns:
        The chain.

    Raises:
        InvalidRequest: The definition is invalid.
        StaleVersion: The chain has a newer version than `version`.
        TimerNotFound: The group or the chain does not exist.
    """
    return _define.update_chain(group, name, _plain(definition), version=version, actor=actor)


def compare_versions(group: str, name: str, before: int, after: int | None = None) -> list[Change]:
    """Return the changes between two versions of a chain.

    Args:
        group: Name of the group.
        name: Name of the chain.
        before: Number of the older version.
        after: Number of the newer version; None: the newest.

    Returns:
        The changes; `str` of a change describes it.

    Raises:
        TimerNotFound: The group, the chain or a version does not exist.
    """
    return _diff(definition(group, name, before)[1], definition(group, name, after)[1])


def get_order(order: str) -> OrderDetail:
    """Return an order with all details. `order`: its id, which is its execution's id. Raises TimerNotFound."""
    try:
        found = _one(order)
    except ValueError:
        found = None
    if found is None:
        raise TimerNotFound(f"there is no order {order}")
    return found


def for_orders(
    verb: str,
    conditions: Mapping[str, Any],
    *,
    limit: int = MOST,
    before: str | None = None,
    groups: frozenset[str] | None = None,
    actor: str = "",
    **arguments: Any,
) -> ManyOrders:
    """Apply a verb to all orders that match the conditions, each in its own transaction.

    An order that refuses the verb does not stop the others.

    Args:
        verb: suspend, resume, skip, move, reset, cancel, prioritize, approve, refuse or signal.
        conditions: group, chain, step, state, name, parent; at least one of chain, name and parent.
        limit: Maximum number of orders, 1 to MOST. A call also ends after about 15 seconds.
        before: `next` of the previous call's result, if there were more orders; None: start with the newest.
        groups: Names of the groups that the caller may see; None: all.
        actor: Name of the caller, for the audit trail.
        **arguments: Arguments of the verb: `reason` for suspend, cancel and refuse; `at`, `variables` and `version` for
            resume; `to` for move; `priority` for prioritize; `name` and `payload` for signal.

    Returns:
        The result for all orders, with `next` if there are more.

    Raises:
        InvalidRequest: The verb, a condition or an argument is invalid.
    """
    check_verb(verb, arguments)
    # All orders are selected before the first one changes, because the verb may change what the conditions match.
    chosen = choose_orders(conditions, limit=limit, before=before, groups=groups)
    return for_each_order(verb, chosen.ids, has_more=chosen.has_more, actor=actor, **arguments)


def _plain(definition: Mapping[str, Any] | ChainBuilder) -> dict[str, Any]:
    if isinstance(definition, ChainBuilder):
        return definition.build()
    return dict(definition) if isinstance(definition, Mapping) else definition
