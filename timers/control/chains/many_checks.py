"""Operations on many orders: which there are, and the arguments that each accepts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from timers.control.chains import orders
from timers.control.spec import check_priority
from timers.domain.chains.steps import readers
from timers.domain.errors import ErrorCollector, nearest
from timers.engine.orders.versions import NEWEST
from timers.exceptions import InvalidRequest

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
_NEEDED: Final = {"move": "to", "prioritize": "priority", "signal": "name"}


def check_verb(verb: Any, arguments: Mapping[str, Any]) -> None:
    """Raise InvalidRequest for an unknown operation, and for unknown, missing or invalid arguments."""
    if not isinstance(verb, str) or verb not in VERBS:
        near = nearest(verb, VERBS) if isinstance(verb, str) else None
        hint = f". Did you mean {near}?" if near else ""
        raise InvalidRequest("verb", f"must be one of {', '.join(VERBS)}{hint}", given=verb)
    mistakes = ErrorCollector()
    for name in sorted(arguments.keys() - set(TAKES[verb])):
        mistakes.add(InvalidRequest(name, f"is not known for {verb}. Remove it."))
    if verb in _NEEDED and _NEEDED[verb] not in arguments:
        mistakes.add(InvalidRequest(_NEEDED[verb], f"is needed for {verb}."))
    for name in TAKES[verb]:
        if name in arguments and name in _CHECKS:
            mistakes.check(lambda name=name: _CHECKS[name](arguments[name], name))  # type: ignore[misc]
    mistakes.raise_if_any()


def check_text(given: Any, field: str) -> None:
    """Raise InvalidRequest for a value that is not text."""
    if not isinstance(given, str):
        raise InvalidRequest(field, "must be text", given=given)


def _check_step(given: Any, field: str) -> None:
    if given is not None:
        check_text(given, field)


def _check_variables(given: Any, field: str) -> None:
    if given is not None:
        readers.variables(given, field)


def _check_version(given: Any, field: str) -> None:
    is_number = isinstance(given, int) and not isinstance(given, bool)
    if given is not None and given != NEWEST and not is_number:
        raise InvalidRequest(field, f'must be the number of a version, or "{NEWEST}"', given=given)


def _check_priority(given: Any, _: str) -> None:
    check_priority(given)


_CHECKS: Final[dict[str, Callable[[Any, str], None]]] = {
    "reason": check_text, "to": check_text, "name": check_text, "at": _check_step, "variables": _check_variables,
    "version": _check_version, "priority": _check_priority,
}  # fmt: skip
"""The checks of arguments that hold for all orders; `payload` is any JSON."""
