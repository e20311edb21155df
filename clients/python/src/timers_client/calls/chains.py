"""Job chains: definitions, steps, and the orders that walk through them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from timers_client.answers import Page, Raw
from timers_client.call import Call, encoded, path
from timers_client.calls.words import NOT_GIVEN, if_match, nothing, page_of, payload_of, raw, raws


def get_chains(group: str) -> Call[Page[Raw]]:
    """The chains of a group by name, with how many orders they have."""
    return Call("GET", path("groups", group, "chains"), page_of(raw))


def get_chain(group: str, chain: str) -> Call[Raw]:
    """One chain with the definition of its newest version; raises NotFound."""
    return Call("GET", path("groups", group, "chains", chain), raw)


def create_chain(group: str, chain: str, definition: Mapping[str, Any]) -> Call[Raw]:
    """Create a chain; raises NameTaken, and Invalid with the place of each mistake."""
    body = encoded({"name": chain, "definition": definition})
    return Call("POST", path("groups", group, "chains"), raw, body)


def update_chain(group: str, chain: str, definition: Mapping[str, Any], *, version: int | None = None) -> Call[Raw]:
    """Give a chain a new version, for new orders; `version`: raise StaleVersion when it is not the newest any more."""
    body, headers = encoded({"definition": definition}), if_match(version)
    return Call("PUT", path("groups", group, "chains", chain), raw, body, headers=headers)


def delete_chain(group: str, chain: str, *, version: int | None = None) -> Call[None]:
    """Delete a chain of which no order is under way."""
    return Call("DELETE", path("groups", group, "chains", chain), nothing, headers=if_match(version))


def get_chain_versions(group: str, chain: str) -> Call[Page[Raw]]:
    """The versions of a chain, the newest first."""
    return Call("GET", path("groups", group, "chains", chain, "versions"), page_of(raw))


def compare_versions(group: str, chain: str, before: int | None = None, after: int | None = None) -> Call[Raw]:
    """The changes from one version to another; without numbers: the newest one and the one before."""
    return Call("GET", path("groups", group, "chains", chain, "diff"), raw, query={"before": before, "after": after})


def get_picture(group: str, chain: str, *, version: int | None = None) -> Call[Raw]:
    """The picture of a chain: nodes and edges with their places, `text` and `svg`."""
    return Call("GET", path("groups", group, "chains", chain, "picture"), raw, query={"version": version})


def get_steps(group: str, chain: str) -> Call[list[Raw]]:
    """The steps of a chain: their states, how many orders are at each, how long they take."""
    return Call("GET", path("groups", group, "chains", chain, "steps"), raws)


def stop_chain(group: str, chain: str, *, reason: str = "") -> Call[Raw]:
    """Let all orders wait before their next step."""
    return Call("POST", path("groups", group, "chains", chain, "stop"), raw, encoded({"reason": reason}))


def start_chain(group: str, chain: str, *, reason: str = "") -> Call[Raw]:
    """Let the orders of a chain that was stopped go on."""
    return Call("POST", path("groups", group, "chains", chain, "start"), raw, encoded({"reason": reason}))


def stop_step(group: str, chain: str, step: str, *, reason: str = "") -> Call[Raw]:
    """Let orders wait before a step; what runs of it runs to its end."""
    return _step(group, chain, step, "stop", reason)


def skip_step(group: str, chain: str, step: str, *, reason: str = "") -> Call[Raw]:
    """Let orders pass a step without running it."""
    return _step(group, chain, step, "skip", reason)


def activate_step(group: str, chain: str, step: str, *, reason: str = "") -> Call[Raw]:
    """Run a step again that was stopped or skipped."""
    return _step(group, chain, step, "activate", reason)


def add_order(
    group: str,
    chain: str,
    name: str,
    *,
    variables: Mapping[str, Any] | None = None,
    pending: bool = False,
    **schedule: Any,
) -> Call[Raw]:
    """Add an order: now, or by the keywords of a schedule (at, after, period, expression ...); `id` is the order's.

    `pending`: it waits until `start_order`.
    """
    body = encoded({"name": name, "variables": variables, "pending": pending, **schedule})
    return Call("POST", path("groups", group, "chains", chain, "orders"), raw, body)


def start_order(group: str, chain: str, name: str) -> Call[Raw]:
    """Start an order that is pending."""
    return Call("POST", path("groups", group, "chains", chain, "orders", name, "start"), raw)


def get_orders(**filters: Any) -> Call[Page[Raw]]:
    """Orders that have begun, newest first; those that have not ended, unless state="ended".

    Filters: group, chain, step, state, name, parent, branches; `limit` is that of a page.
    """
    return Call("GET", "/orders", page_of(raw), query=filters)


def get_order(order: str) -> Call[Raw]:
    """One order with its variables; raises NotFound."""
    return Call("GET", path("orders", order), raw)


def get_order_history(order: str) -> Call[Page[Raw]]:
    """What an order did, oldest first: each attempt of a step, and its end."""
    return Call("GET", path("orders", order, "history"), page_of(raw))


def suspend_order(order: str, *, reason: str = "") -> Call[Raw]:
    """Stop this order alone, until it is resumed; a step that runs is waited for."""
    return Call("POST", path("orders", order, "suspend"), raw, encoded({"reason": reason}))


def resume_order(
    order: str,
    *,
    at: str | None = None,
    variables: Mapping[str, Any] | None = None,
    version: int | str | None = None,
) -> Call[Raw]:
    """Let a suspended order go on, or a failed one from the step that failed; `at`: from another step.

    `version`: that of its chain to go on with, a number or "newest"; None: its own.
    """
    fields = {"at": at, "variables": variables} | ({} if version is None else {"version": version})
    return Call("POST", path("orders", order, "resume"), raw, encoded(fields))


def skip_step_of(order: str) -> Call[Raw]:
    """Let an order go on behind the step that it is at."""
    return Call("POST", path("orders", order, "skip"), raw)


def move_order(order: str, to: str) -> Call[Raw]:
    """Move an order to another step, suspended or not."""
    return Call("POST", path("orders", order, "move"), raw, encoded({"to": to}))


def reset_order(order: str) -> Call[Raw]:
    """Move an order to its first step; its variables stay."""
    return Call("POST", path("orders", order, "reset"), raw)


def cancel_order(order: str, *, reason: str = "") -> Call[Raw]:
    """Cancel an order by its finally steps; a second cancel ends it at once."""
    return Call("POST", path("orders", order, "cancel"), raw, encoded({"reason": reason}))


def prioritize_order(order: str, priority: int) -> Call[Raw]:
    """Set the priority of an order, from -9 to 9, with its branches and sub-chains: higher ones are claimed first."""
    return Call("POST", path("orders", order, "prioritize"), raw, encoded({"priority": priority}))


def approve_order(order: str) -> Call[Raw]:
    """Approve what an order waits for."""
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
    """Do one thing to all orders that meet a filter: `done`, `refused` with the reasons, `next`.

    The filter's words: group, chain, step, state, name, parent. `arguments`: limit, and those of the verb. Where `next`
    is not None there are more: call it again with before=next.
    """
    return Call("POST", "/orders/by-filter", raw, encoded({"verb": verb, "filter": filter, **arguments}))


def _step(group: str, chain: str, step: str, verb: str, reason: str) -> Call[Raw]:
    where = path("groups", group, "chains", chain, "steps", step, verb)
    return Call("POST", where, raw, encoded({"reason": reason}))
