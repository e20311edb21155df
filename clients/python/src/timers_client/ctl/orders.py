"""Commands for orders of chains."""

from __future__ import annotations

import argparse
from typing import Any, Final

from timers_client.answers import Raw
from timers_client.ctl.given import given
from timers_client.ctl.keywords import OWN, SHARED
from timers_client.ctl.output import show_json, show_one, show_rows
from timers_client.errors import TimersError
from timers_client.sync import TimersClient

UPCOMING: Final = ("pending", "scheduled")
"""States of orders that have not begun."""
FILTERS: Final = ("group", "chain", "step", "state", "name", "parent")
_ORDER: Final = ("id", "name", "chain", "step", "state", "node", "reason", "changed_at")
_UPCOMING: Final = ("name", "chain", "state", "begins_at", "repeats", "id", "reason")
_NAMES: Final = ("set_variables", "changed_variables")
_ATTEMPT: Final = ("attempt", "step", "outcome", "node", "started_at", "finished_at", *_NAMES, "error")
_SCHEDULE: Final = (*(word for own in OWN.values() for word in own), *SHARED, "variables", "tags")


def list_orders(arguments: argparse.Namespace, client: TimersClient) -> None:
    """List orders: those that have begun, or those of a chain that have not begun."""
    if arguments.state in UPCOMING:
        wanted = _filters(arguments)
        if wanted.keys() != {"group", "chain", "state"}:
            raise TimersError(f"--state {arguments.state} needs --group and --chain, and nothing else")
        rows = client.get_upcoming_orders(wanted["group"], wanted["chain"], state=wanted["state"])
        show_rows(rows, _UPCOMING, as_json=arguments.json)
        return
    show_rows(client.get_orders(**_filters(arguments)), _ORDER, as_json=arguments.json)


def show_order(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Show one order with its variables."""
    show_one(client.get_order(arguments.order), as_json=arguments.json)


def show_history(arguments: argparse.Namespace, client: TimersClient) -> None:
    """List the history of an order."""
    rows = client.get_order_history(arguments.order)
    told = rows if arguments.json else ({**row, **{name: ", ".join(row[name]) for name in _NAMES}} for row in rows)
    show_rows(told, _ATTEMPT, as_json=arguments.json)


def add_order(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Add an order."""
    fields = given(arguments, _SCHEDULE)
    told = client.add_order(
        arguments.group, arguments.chain, arguments.name, pending=arguments.pending,
        on_conflict=arguments.on_conflict, **fields,
    )  # fmt: skip
    _tell_added(told, arguments)


def start_order(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Start a pending order."""
    _tell_added(client.start_order(arguments.group, arguments.chain, arguments.name), arguments)


def change_order(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Set variables of an order that has not begun."""
    told = client.change_order(arguments.group, arguments.chain, arguments.name, variables=arguments.variables)
    _tell_added(told, arguments)


def withdraw_order(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Cancel an order before it begins."""
    client.withdraw_order(arguments.group, arguments.chain, arguments.name, reason=arguments.reason)


def suspend(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Suspend orders."""
    _each("suspend", arguments, client, reason=arguments.reason)


def resume(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Resume orders."""
    variables = getattr(arguments, "variables", None)
    _each("resume", arguments, client, at=arguments.at, variables=variables, version=arguments.version)


def skip(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Skip the step that orders are at."""
    _each("skip", arguments, client)


def move(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Move orders to another step."""
    _each("move", arguments, client, to=arguments.to)


def reset(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Move orders to their first step."""
    _each("reset", arguments, client)


def cancel(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Cancel orders."""
    _each("cancel", arguments, client, reason=arguments.reason)


def prioritize(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Set the priority of orders."""
    _each("prioritize", arguments, client, priority=arguments.priority)


def approve(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Approve the approvals that orders wait for."""
    _each("approve", arguments, client)


def refuse(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Refuse the approvals that orders wait for."""
    _each("refuse", arguments, client, reason=arguments.reason)


def signal(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Send an order a signal."""
    payload = {"payload": arguments.payload} if hasattr(arguments, "payload") else {}
    _tell(client.signal_order(arguments.order, arguments.signal, **payload), arguments)


def _each(verb: str, arguments: argparse.Namespace, client: TimersClient, **fields: Any) -> None:
    """Apply a verb to the given orders, or to all that match the conditions."""
    wanted, ids = _filters(arguments), arguments.orders
    if bool(wanted) == bool(ids):
        raise TimersError("name orders by their ids, or say which ones by --chain and the like")
    arguments_of = {name: value for name, value in fields.items() if value not in (None, "")}
    if ids:
        call = {"skip": client.skip_step_of}.get(verb) or getattr(client, f"{verb}_order")
        for order in ids:
            _tell(call(order, **arguments_of), arguments)
        return
    many: Raw = {"next": None}
    while True:
        many = client.for_orders(verb, wanted, before=many["next"], **arguments_of)
        if arguments.json:
            show_json(many)
        else:
            print(f"{len(many['done']):,} done, {len(many['refused']):,} refused")
            for each in many["refused"]:
                print(f"{each['order']}: {each['message']}")
        if many["next"] is None:
            return


def _filters(arguments: argparse.Namespace) -> dict[str, str]:
    return {name: value for name in FILTERS if (value := getattr(arguments, name, None)) is not None}


def _tell(order: Raw, arguments: argparse.Namespace) -> None:
    if arguments.json:
        show_json(order)
    else:
        because = f" because {order['reason']}" if order["reason"] else ""
        print(f"{order['id']}: {order['outcome'] or order['state']} at {order['step']}{because}")


def _tell_added(told: Raw, arguments: argparse.Namespace) -> None:
    if arguments.json:
        show_json(told)
    else:
        order = f", order {told['id']}" if told["id"] else ""
        print(f"{told['group']}/{told['name']}: {told['state']}{order}")
