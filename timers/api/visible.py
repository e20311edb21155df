"""Visibility of objects in a path: an object exists only for callers who may see its group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from timers.insights.execution_group import group_of
from timers.insights.one_order import group_of_order
from timers.insights.operations import one as operation_of
from timers.security.caller import Caller


def _group(caller: Caller, name: str) -> bool:
    return caller.sees(name)


def _execution(caller: Caller, execution: str) -> bool:
    group = group_of(execution)
    if group == "":  # The group is deleted; neither its keys nor those of a later group of that name may see this.
        return caller.has_all_groups
    return group is not None and caller.sees(group)


def _order(caller: Caller, order: str) -> bool:
    group = group_of_order(order)
    return group is not None and caller.sees(group)


def _operation(caller: Caller, number: str) -> bool:
    is_number = number.isascii() and number.isdigit() and len(number) < 19
    return is_number and operation_of(int(number), caller.groups) is not None


_SEEN: Final[dict[str, Callable[[Caller, str], bool]]] = {
    "group": _group,
    "execution": _execution,
    "order": _order,
    "operation": _operation,
}
"""Lookups by path parameter. Paths below a group and routes for all groups need none."""


def is_visible(caller: Caller, word: str, value: str) -> bool:
    """Return whether the caller may see the object that this path parameter names."""
    look = _SEEN.get(word)
    return look is None or look(caller, value)
