"""Job chains: definitions, steps, and orders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from timers_client.answers import Page, Raw
from timers_client.call import Call, encoded, path
from timers_client.calls.words import NOT_GIVEN, if_match, nothing, page_of, payload_of, raw, raws


def get_chains(group: str) -> Call[Page[Raw]]:
    """List the chains of a group by name, with their numbers of orders."""
    return Call("GET", path("groups", group, "chains"), page_of(raw))


def get_chain(group: str, chain: str) -> Call[Raw]:
    """Return one chain with the definition of its newest version. Raises NotFound."""
    return Call("GET", path("groups", group, "chains", chain), raw)


def create_chain(group: str, chain: str, definition: Mapping[str, Any]) -> Call[Raw]:
    """Create a chain. Raises NameTaken, or Invalid with the location of each error."""
    body = encoded({"name": chain, "definition": definition})
    return Call("POST", path("groups", group, "chains"), raw, body)


def update_chain(group: str, chain: str, definition: Mapping[str, Any], *, version: int | None = None) -> Call[Raw]:
    """Create a new version of a chain, for new orders. `version`: raise StaleVersion if it is not the newest."""
    body, headers = encoded({"definition": definition}), if_match(version)
    return Call("PUT", path("groups", group, "chains", chain), raw, body, headers=headers)


def delete_chain(group: str, chain: str, *, version: int | None = None) -> Call[None]:
    """Delete a chain that has no orders in progress."""
    return Call("DELETE", path("groups", group, "chains", chain), nothing, headers=if_match(version))


def get_chain_versions(group: str, chain: str) -> Call[Page[Raw]]:
    """List the versions of a chain, newest first."""
    return Call("GET", path("groups", group, "chains", chain, "versions"), page_of(raw))


def compare_versions(group: str, chain: str, before: int | None = None, after: int | None = None) -> Call[Raw]:
    """Return the changes between two versions; without numbers, between the two newest."""
    return Call("GET", path("groups", group, "chains", chain, "diff"), raw, query={"before": before, "after": after})


def get_picture(group: str, chain: str, *, version: int | None = None) -> Call[Raw]:
    """Return the picture of a chain: nodes and edges with positions, `text` and `svg`."""
    return Call("GET", path("groups", group, "chains", chain, "picture"), raw, query={"version": version})


def get_steps(group: str, chain: str) -> Call[list[Raw]]:
    """List the steps of a chain, with their states, numbers of orders and run times."""
    return Call("GET", path("groups", group, "chains", chain, "steps"), raws)


def stop_chain(group: str, chain: str, *, reason: str = "") -> Call[Raw]:
    """Stop a chain: all orders wait before their next step."""
    return Call("POST", path("groups", group, "chains", chain, "stop"), raw, encoded({"reason": reason}))


def start_chain(group: str, chain: str, *, reason: str = "") -> Call[Raw]:
    """Start a stopped chain: its orders continue."""
    return Call("POST", path("groups", group, "chains", chain, "start"), raw, encoded({"reason": reason}))


def stop_step(group: str, chain: str, step: str, *, reason: str = "") -> Call[Raw]:
    """Stop a step: orders wait before it. Running attempts of the step are not interrupted."""
    return _step(group, chain, step, "stop", reason)


def skip_step(group: str, chain: str, step: str, *, reason: str = "") -> Call[Raw]:
    """Skip a step: orders pass it without running it."""
    return _step(group, chain, step, "skip", reason)


def activate_step(group: str, chain: str, step: str, *, reason: str = "") -> Call[Raw]:
    """Run a stopped or skipped step again."""
    return _step(group, chain, step, "activate", reason)


def get_locks(group: str) -> Call[list[Raw]]:
    """List the locks that the chains of a group share: capacity, and numbers of orders that hold and await each."""
    return Call("GET", path("groups", group, "locks"), raws)


def get_lock(group: str, lock: str) -> Call[Raw]:
    """Return one lock with its `holders` and `waiters`, the next one first. Raises NotFound."""
    return Call("GET", path("groups", group, "locks", lock), raw)


def set_lock(group: str, lock: str, capacity: int) -> Call[Raw]:
    """Declare a lock, or change how many orders can hold it at once."""
    return Call("PUT", path("groups", group, "locks", lock), raw, encoded({"capacity": capacity}))


def delete_lock(group: str, lock: str) -> Call[None]:
    """Delete a lock that no chain uses."""
    return Call("DELETE", path("groups", group, "locks", lock), nothing)


def add_order(
    group: str,
    chain: str,
    name: str,
    *,
    variables: Mapping[str, Any] | None = None,
    pending: bool = False,
    **schedule: Any,
) -> Call[Raw]:
    """Add an order to a chain; `id` of the result is the order's id.

    Args:
        group: Name of the group.
        chain: Name of the chain.
        name: Name of the order's timer.
        variables: Initial variables.
        pending: Let the order wait until `start_order`.
        **schedule: Keywords of a schedule (at, after, period, expression ...); without them the order begins now.
    """
    body = encoded({"name": name, "variables": variables, "pending": pending, **schedule})
    return Call("POST", path("groups", group, "chains", chain, "orders"), raw, body)


def start_order(group: str, chain: str, name: str) -> Call[Raw]:
    """Start a pending order."""
    return Call("POST", path("groups", group, "chains", chain, "orders", name, "start"), raw)


def get_upcoming_orders(group: str, chain: str, *, state: str | None = None) -> Call[Page[Raw]]:
    """List the orders of a chain that have not begun, by name, with `begins_at`.

    `state`: pending or scheduled; None: both.
    """
    return Call("GET", path("groups", group, "chains", chain, "orders"), page_of(raw), query={"state": state})


def change_order(group: str, chain: str, name: str, *, variables: Mapping[str, Any]) -> Call[Raw]:
    """Set variables of an order that has not begun; the others are kept."""
    where = path("groups", group, "chains", chain, "orders", name)
    return Call("PATCH", where, raw, encoded({"variables": variables}))


def withdraw_order(group: str, chain: str, name: str, *, reason: str = "") -> Call[None]:
    """Cancel an order before it begins, and all later orders of its timer."""
    where = path("groups", group, "chains", chain, "orders", name, "withdraw")
    return Call("POST", where, nothing, encoded({"reason": reason}))


def get_orders(**filters: Any) -> Call[Page[Raw]]:
    """List orders that have begun, newest first; only those that have not ended, unless state="ended".

    Filters: group, chain, step, state, name, parent, branches; `limit` is the size of a page.
    """
    return Call("GET", "/orders", page_of(raw), query=filters)


def get_order(order: str) -> Call[Raw]:
    """Return one order with its variables. Raises NotFound."""
    return Call("GET", path("orders", order), raw)


def get_order_history(order: str) -> Call[Page[Raw]]:
    """List the history of an order, oldest first: each attempt of a step, and the end."""
    return Call("GET", path("orders", order, "history"), page_of(raw))


def suspend_order(order: str, *, reason: str = "") -> Call[Raw]:
    """Suspend this order until it is resumed. A running step finishes first."""
    return Call("POST", path("orders", order, "suspend"), raw, encoded({"reason": reason}))


def resume_order(
    order: str,
    *,
    at: str | None = None,
    variables: Mapping[str, Any] | None = None,
    version: int | str | None = None,
) -> Call[Raw]:
    """Resume a suspended order, or a failed one from the step that failed.

    Args:
        order: Id of the order.
        at: Step to continue from; None: the present one.
        variables: Variables to set before.
        version: Version of its chain to continue with, a number or "newest"; None: its own.
    """
    fields = {"at": at, "variables": variables} | ({} if version is None else {"version": version})
    return Call("POST", path("orders", order, "resume"), raw, encoded(fields))


def skip_step_of(order: str) -> Call[Raw]:
    """Skip the step that an order is at."""
    return Call("POST", path("orders", order, "skip"), raw)


def move_order(order: str, to: str) -> Call[Raw]:
    """Move an order to another step, suspended or not."""
    return Call("POST", path("orders", order, "move"), raw, encoded({"to": to}))


def reset_order(order: str) -> Call[Raw]:
    """Move an order to its first step; its variables are kept."""
    return Call("POST", path("orders", order, "reset"), raw)


def cancel_order(order: str, *, reason: str = "") -> Call[Raw]:
    """Cancel an order after its finally steps; a second cancel ends it at once."""
    return Call("POST", path("orders", order, "cancel"), raw, encoded({"reason": reason}))


def prioritize_order(order: str, priority: int) -> Call[Raw]:
    """Set the priority of an order (-9 to 9), its branches and its sub-chains. Higher priorities are claimed first."""
    return Call("POST", path("orders", order, "prioritize"), raw, encoded({"priority": priority}))


def approve_order(order: str) -> Call[Raw]:
    """Approve the approval that an order waits for."""
    return Call("POST", path("orders", order, "approve"), raw)


def refuse_order(order: str, *, reason: str = "") -> Call[Raw]:
    """Refuse the approval that an order waits for."""
    return Call("POST", path("orders", order, "refuse"), raw, encoded({"reason": reason}))


def signal_order(order: str, signal: str, *, payload: Any = NOT_GIVEN) -> Call[Raw]:
    """Send an order the signal that it waits for."""
    return Call("POST", path("orders", order, "signals", signal), raw, payload_of(payload))


def for_orders(
    verb: str,
    filter: Mapping[str, Any],  # noqa: A002 - the word of the service
    **arguments: Any,
) -> Call[Raw]:
    """Apply a verb to all orders that match a filter: the result has `done`, `refused` with reasons, and `next`.

    Args:
        verb: suspend, resume, skip, move, reset, cancel, prioritize, approve, refuse or signal.
        filter: Conditions: group, chain, step, state, name, parent.
        **arguments: limit, before, and the arguments of the verb. If `next` is not None there are more orders: call it
            again with before=next.
    """
    return Call("POST", "/orders/by-filter", raw, encoded({"verb": verb, "filter": filter, **arguments}))


def _step(group: str, chain: str, step: str, verb: str, reason: str) -> Call[Raw]:
    where = path("groups", group, "chains", chain, "steps", step, verb)
    return Call("POST", where, raw, encoded({"reason": reason}))
