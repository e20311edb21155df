"""Commands for locks that chains share."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, Final

from timers_client.ctl.output import show_json, show_rows
from timers_client.sync import TimersClient

_LOCK: Final = ("name", "capacity", "held", "waiting")
_ORDER: Final = ("place", "order", "name", "chain", "step", "since", "node")


def list_locks(arguments: argparse.Namespace, client: TimersClient) -> None:
    """List the locks of a group."""
    rows = client.get_locks(arguments.group)
    show_rows(rows if arguments.json else map(_in_a_line, rows), _LOCK, as_json=arguments.json)


def show_lock(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Show one lock: the orders that hold it, then those that wait for it."""
    told = client.get_lock(arguments.group, arguments.name)
    if arguments.json:
        show_json(told)
        return
    print(_in_words(told))
    places = (("holds", told["holders"]), ("waits", told["waiters"]))
    show_rows([{**each, "place": place} for place, orders in places for each in orders], _ORDER, as_json=False)


def set_lock(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Declare a lock, or change its capacity."""
    told = client.set_lock(arguments.group, arguments.name, arguments.capacity)
    if arguments.json:
        show_json(told)
    else:
        print(_in_words(told))


def delete_lock(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Delete a lock."""
    client.delete_lock(arguments.group, arguments.name)


def _in_words(lock: Mapping[str, Any]) -> str:
    return f"{lock['group']}/{lock['name']}: {lock['held']} of {lock['capacity']} held, {_waiting(lock)} waiting"


def _in_a_line(lock: Mapping[str, Any]) -> dict[str, Any]:
    return {**lock, "waiting": _waiting(lock)}


def _waiting(lock: Mapping[str, Any]) -> str:
    return f"{lock['waiting']}{'+' if lock['at_least'] else ''}"
