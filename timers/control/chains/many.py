"""Apply one operation to many orders: each in its own transaction and with its own audit entry; errors are collected.

The locks of one order are taken in a fixed order; this would not be possible for a thousand in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from timers.control.chains import orders
from timers.domain.errors import nearest
from timers.exceptions import InvalidRequest, TimersError

VERBS: Final[dict[str, Callable[..., Any]]] = {
    "suspend": orders.suspend_order,
    "resume": orders.resume_order,
    "skip": orders.skip_step_of,
    "move": orders.move_order,
    "reset": orders.reset_order,
    "cancel": orders.cancel_order,
    "prioritize": orders.prioritize_order,
    "approve": orders.approve_order,
    "refuse": orders.refuse_order,
    "signal": orders.signal_order,
}
"""The operations on orders, by name."""
TAKES: Final[dict[str, tuple[str, ...]]] = {
    "suspend": ("reason",), "resume": ("at", "variables", "version"), "skip": (), "move": ("to",), "reset": (),
    "cancel": ("reason",), "prioritize": ("priority",), "approve": (), "refuse": ("reason",),
    "signal": ("name", "payload"),
}  # fmt: skip
"""The arguments of each operation, in addition to the order and the actor."""
SECONDS: Final = 15.0
"""Maximum duration of one call in seconds: shorter than the limit of a request."""
_NEEDED: Final = {"move": "to", "prioritize": "priority", "signal": "name"}


@dataclass(frozen=True, slots=True)
class Refused:
    """An order on which the operation failed, and the error."""

    order: str
    message: str


@dataclass(frozen=True, slots=True)
class ManyOrders:
    """The result of an operation on many orders."""

    done: list[str]
    refused: list[Refused]
    next: str | None = None
    """Where the next call continues, as there are more orders than one call handles. None: all were handled."""


def check_verb(verb: Any, arguments: Iterable[str]) -> None:
    """Raise InvalidRequest for an unknown operation, and for unknown or missing arguments."""
    if not isinstance(verb, str) or verb not in VERBS:
        near = nearest(verb, VERBS) if isinstance(verb, str) else None
        hint = f". Did you mean {near}?" if near else ""
        raise InvalidRequest("verb", f"must be one of {', '.join(VERBS)}{hint}", given=verb)
    given = set(arguments)
    problems = [
        InvalidRequest(each, f"is not known for {verb}. Remove it.") for each in sorted(given - set(TAKES[verb]))
    ]
    if verb in _NEEDED and _NEEDED[verb] not in given:
        problems.append(InvalidRequest(_NEEDED[verb], f"is needed for {verb}."))
    if problems:
        raise InvalidRequest.combined(problems)


def for_each_order(
    verb: str, ids: Sequence[str], *, seconds: float = SECONDS, actor: str = "", **arguments: Any
) -> ManyOrders:
    """Apply one operation to each of these orders.

    Args:
        verb: One of VERBS.
        ids: The orders; they are handled in this sequence.
        seconds: No further order is begun after this time; `next` of the result is the last one that was.
        actor: Who requests it; empty: the current actor.
        arguments: Those of the operation, such as `reason`, or `to` of move.

    Returns:
        The orders on which it succeeded, and those on which it failed with the reason.

    Raises:
        InvalidRequest: There is no such operation, or it does not accept these arguments.
    """
    check_verb(verb, arguments)
    call = VERBS[verb]
    done, refused = list[str](), list[Refused]()
    until = monotonic() + seconds
    for number, order in enumerate(ids):
        if number and monotonic() >= until:
            return ManyOrders(done, refused, next=ids[number - 1])
        try:
            call(order, actor=actor, **arguments)
        except TimersError as error:
            refused.append(Refused(order, str(error)))
        else:
            done.append(order)
    return ManyOrders(done, refused)
