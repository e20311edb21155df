"""Choose the orders that an operation on many orders is applied to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from timers.exceptions import InvalidRequest
from timers.insights.orders import STATES, find_orders

MOST: Final = 2_000
"""Maximum number of orders of one call."""
FILTER: Final = ("group", "chain", "step", "state", "name", "parent")
"""Names of the conditions."""
_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class ChosenOrders:
    """Orders that match the conditions, newest first."""

    ids: list[str]
    has_more: bool
    """Whether more orders match than the limit allows."""


def choose_orders(
    conditions: Any, *, limit: Any = MOST, before: Any = None, groups: Collection[str] | None = None
) -> ChosenOrders:
    """Return the orders that match all conditions.

    Args:
        conditions: group, chain, step, state, name, parent; at least one of chain, name and parent.
        limit: Maximum number of orders, 1 to MOST.
        before: Start below this order; None: with the newest.
        groups: Names of the groups that the caller may see; None: all.

    Raises:
        InvalidRequest: A condition, the limit or `before` is invalid; all errors are named.
    """
    found = _checked(conditions, limit)
    ids, below = list[str](), _position(before)
    while len(ids) <= limit:
        page = find_orders(groups=groups, before_id=below, limit=_PAGE, **found)
        ids += [str(each.id) for each in page.orders]
        below = page.next
        if below is None:
            break
    return ChosenOrders(ids[:limit], len(ids) > limit)


def _position(before: Any) -> UUID | None:
    try:
        return None if before is None else UUID(before)
    except (ValueError, TypeError, AttributeError):
        raise InvalidRequest("before", "must be `next` of the call before", given=before) from None


def _checked(conditions: Any, limit: Any) -> dict[str, Any]:
    if not isinstance(conditions, Mapping):
        raise InvalidRequest("filter", "must be an object of conditions", given=conditions)
    problems: list[InvalidRequest] = []
    for each, value in conditions.items():
        if each not in FILTER:
            problems.append(InvalidRequest(f"filter.{each}", f"is not known. Known are {', '.join(FILTER)}."))
        elif not isinstance(value, str):
            problems.append(InvalidRequest(f"filter.{each}", "must be text", given=value))
        elif each == "state" and value not in STATES:
            problems.append(InvalidRequest("filter.state", f"must be one of {', '.join(STATES)}", given=value))
        elif each == "parent" and not _is_id(value):
            problems.append(InvalidRequest("filter.parent", "must be the id of an order", given=value))
    if not {"chain", "name", "parent"} & conditions.keys():
        problems.append(InvalidRequest("filter", "must have chain, name or parent. Say which orders are meant."))
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MOST:
        problems.append(InvalidRequest("limit", f"must be a whole number from 1 to {MOST:,}", given=limit))
    if problems:
        raise InvalidRequest.combined(problems)
    return dict(conditions)


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
