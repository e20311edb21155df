"""What a path names: it is there for those who see its group, and for nobody else."""

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
    if group == "":  # Its group is gone: to no group's key does it belong, nor to a later group of that name.
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
"""By the words of paths. What stands below a group needs no further look, nor what is for all groups only."""


def is_visible(caller: Caller, word: str, value: str) -> bool:
    """Whether the caller may know of what this word of a path means."""
    look = _SEEN.get(word)
    return look is None or look(caller, value)
