"""One verb for many orders: each in a transaction and with an audit entry of its own, refusals collected.

The locks of one order are taken in their order; those of a thousand in one transaction could not be.
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
"""What can be done to an order, by its word."""
TAKES: Final[dict[str, tuple[str, ...]]] = {
    "suspend": ("reason",), "resume": ("at", "variables", "version"), "skip": (), "move": ("to",), "reset": (),
    "cancel": ("reason",), "prioritize": ("priority",), "approve": (), "refuse": ("reason",),
    "signal": ("name", "payload"),
}  # fmt: skip
"""The arguments of each besides the order and the actor."""
SECONDS: Final = 15.0
"""How long one call works: shorter than a request may take."""
_NEEDED: Final = {"move": "to", "prioritize": "priority", "signal": "name"}


@dataclass(frozen=True, slots=True)
class Refused:
    """An order to which it was not done, and why."""

    order: str
    message: str


@dataclass(frozen=True, slots=True)
class ManyOrders:
    """What came of a verb for many orders."""

    done: list[str]
    refused: list[Refused]
    next: str | None = None
    """Where the next call goes on: there are more orders than one call takes. None: that was all."""


def check_verb(verb: Any, arguments: Iterable[str]) -> None:
    """Raise InvalidRequest for a verb that does not exist, or arguments that it does not take or needs."""
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
    """Do one thing to each of these orders.

    Args:
        verb: One of VERBS.
        ids: The orders; they are taken in this order.
        seconds: No further order is begun after so long; `next` of the result is the last one that was.
        actor: Who does it.
        arguments: Those of the verb, such as `reason`, or `to` of move.

    Returns:
        Which were done, and which were refused with the reason.

    Raises:
        InvalidRequest: There is no such verb, or it does not take these arguments.
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
