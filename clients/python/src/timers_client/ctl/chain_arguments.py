"""Arguments of the commands for chains, their locks and orders."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final

from timers_client.ctl.keywords import OWN, schedule
from timers_client.ctl.orders import UPCOMING
from timers_client.ctl.parser import Parser, Word, member, payload, reason
from timers_client.ctl.values import at_least, json_value

_STATES: Final = [
    "ready", "waiting", "at_stopped", "at_limit", "locked", "joining", "suspended", "awaiting", "failed", "ended",
]  # fmt: skip


def chain_words(verb: Word) -> None:
    """Add the commands below `chain`."""
    verb("list", "list the chains of a group").add_argument("group")
    member(verb("show", "show one chain with its orders by state"))
    member(verb("steps", "list the steps of a chain: states, orders, durations"))
    pictured = member(verb("picture", "print the steps of a chain and the ways between them"))
    pictured.add_argument("--version", type=int, help="default: the newest")
    pictured.add_argument("--svg", action="store_true", help="as an SVG document")
    _definition(member(verb("create", "create a chain")))
    updated = _definition(member(verb("update", "give a chain a new version, for new orders")))
    updated.add_argument("--version", type=int, help="refuse it unless this is the newest version")
    compared = member(verb("diff", "tell what changed between two versions"))
    compared.add_argument("before", type=int, nargs="?", help="default: the one before the other")
    compared.add_argument("after", type=int, nargs="?", help="default: the newest")
    member(verb("delete", "delete a chain of which no order is under way"))
    stopped = reason(member(verb("stop", "let orders wait before their next step, or before one step")))
    stopped.add_argument("step", nargs="?")
    reason(member(verb("start", "let the orders of a chain that was stopped go on")))
    for name, about in (
        ("skip", "let orders pass a step without running it"),
        ("activate", "run a step again that was stopped or skipped"),
    ):
        reason(member(verb(name, about))).add_argument("step")


def lock_words(verb: Word) -> None:
    """Add the commands below `lock`."""
    verb("list", "list the locks of a group: capacity, how many orders hold and wait").add_argument("group")
    member(verb("show", "show one lock: the orders that hold it and wait for it"))
    declared = member(verb("set", "declare a lock, or change how many orders may hold it at once"))
    declared.add_argument("capacity", type=at_least(1, "a whole number", int))
    member(verb("delete", "delete a lock that no chain takes"))


def order_words(verb: Word) -> None:
    """Add the commands below `order`."""
    _filters(
        verb("list", "list orders that have begun, newest first; those of a chain that have not by --state"), UPCOMING
    )
    verb("show", "show one order with its variables").add_argument("order")
    verb("history", "list what an order did, step by step").add_argument("order")
    added = _of_chain(verb("add", "add an order: now, or by the options of a schedule"))
    schedule(added, {name: about for own in OWN.values() for name, about in own.items()}, needed=frozenset())
    _variables(added, "JSON: what it begins with; @FILE: from a file, -: standard input")
    added.add_argument("--tag", dest="tags", action="append", default=argparse.SUPPRESS)
    added.add_argument("--pending", action="store_true", help="it waits until it is started")
    conflicts = ["reject", "replace", "keep"]
    added.add_argument("--on-conflict", dest="on_conflict", choices=conflicts, default="reject")
    _of_chain(verb("start", "start an order that is pending"))
    changed = _of_chain(verb("change", "set variables of an order that has not begun"))
    changed.add_argument("--variables", type=json_value, required=True, help="JSON: variables to set")
    reason(_of_chain(verb("withdraw", "cancel an order before it begins, and all that its timer would begin after it")))
    reason(_many(verb("suspend", "stop orders, each alone, until they are resumed")))
    resumed = _many(verb("resume", "let suspended orders go on, failed ones from the step that failed"))
    resumed.add_argument("--at", help="the step to go on from")
    resumed.add_argument("--version", type=_version, metavar="NUMBER|newest", help="that of the chain to go on with")
    resumed.add_argument(
        "--variables", type=json_value, default=argparse.SUPPRESS, help="JSON: variables to set before"
    )
    _many(verb("skip", "let orders go on behind the step that they are at"))
    _many(verb("move", "move orders to another step")).add_argument("--to", required=True, help="the step")
    _many(verb("reset", "move orders to their first step"))
    reason(_many(verb("cancel", "cancel orders: their finally steps run, then they end")))
    urgent = _many(verb("prioritize", "let orders be claimed before those of a lower priority"))
    urgent.add_argument("--priority", type=int, required=True, help="from -9 to 9")
    _many(verb("approve", "approve what orders wait for"))
    reason(_many(verb("refuse", "refuse what orders wait for")))
    signalled = verb("signal", "send an order the signal that it waits for")
    signalled.add_argument("order")
    signalled.add_argument("signal")
    payload(signalled)


def _version(text: str) -> int | str:
    return text if text == "newest" else int(text)


def _definition(word: Parser) -> Parser:
    word.add_argument("definition", type=json_value, help="JSON; @FILE: from a file, -: standard input")
    return word


def _variables(word: Parser, about: str) -> None:
    word.add_argument("--variables", type=json_value, default=argparse.SUPPRESS, help=about)


def _of_chain(word: Parser) -> Parser:
    for name in ("group", "chain", "name"):
        word.add_argument(name)
    return word


def _filters(word: Parser, more: Sequence[str] = ()) -> Parser:
    for name in ("group", "chain", "step", "name", "parent"):
        word.add_argument(f"--{name}")
    word.add_argument("--state", choices=[*more, *_STATES])
    return word


def _many(word: Parser) -> Parser:
    word.add_argument("orders", nargs="*", metavar="ORDER")
    return _filters(word)
