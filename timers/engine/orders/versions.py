"""Versions: resume an order with another version of its chain."""

from __future__ import annotations

from typing import Any, Final

from timers.domain.chains.order import FAILED, SUSPENDED
from timers.domain.chains.other_version import FIELD, check_version, without_replaced_sub_chain
from timers.engine.orders.definitions import definition_of
from timers.engine.orders.rows import OrderRow
from timers.engine.orders.trees import Trees
from timers.exceptions import InvalidRequest, NotAllowedNow
from timers.models import ChainVersion

NEWEST: Final = "newest"
"""Given instead of a number."""


def take_version(trees: Trees, order: str, wanted: Any, *, is_elsewhere: bool) -> int:
    """Switch an order that is going to be resumed to another version of its chain; return the version's number.

    Branches that begin again with it take that version too. A sub-chain is another chain: it takes its newest version
    if the newest is requested, and keeps its own if a number is given. If the step names another sub-chain in that
    version, the step begins with that one.

    Args:
        trees: The tree of the order, locked.
        order: Its id.
        wanted: The number of the version, or NEWEST.
        is_elsewhere: Whether it continues at another step than its current one.

    Raises:
        NotAllowedNow: It is neither suspended nor failed.
        InvalidRequest: The version does not exist, or the order cannot continue with it; nothing has changed then.
    """
    row = trees.row(order)
    state = row.order.state
    if state not in (SUSPENDED, FAILED):
        raise NotAllowedNow(f"order: is {state}. Only suspended and failed orders can take another version.")
    number, version_id = _find(row.chain_id, wanted)
    _take(trees, row, version_id, wanted, is_elsewhere=is_elsewhere)
    return number


def _find(chain_id: int, wanted: Any) -> tuple[int, int]:
    """Return the number and the row id of a version."""
    is_number = isinstance(wanted, int) and not isinstance(wanted, bool)
    if not is_number and wanted != NEWEST:
        raise InvalidRequest(FIELD, f'must be the number of a version, or "{NEWEST}"', given=wanted)
    versions = ChainVersion.objects.filter(chain=chain_id).order_by("-version").values_list("version", "id")
    found = versions.filter(version=wanted).first() if is_number and 0 < wanted < 2**31 else versions.first()
    if found is None or (is_number and found[0] != wanted):
        newest = versions.first()
        known = "" if newest is None else f" Its newest is {newest[0]}."
        raise InvalidRequest(FIELD, f"the chain has no version {wanted}.{known}")
    return found[0], found[1]


def _take(trees: Trees, row: OrderRow, version_id: int, wanted: Any, *, is_elsewhere: bool = False) -> None:
    if version_id != row.version_id:
        before, after = definition_of(row.version_id).chain, definition_of(version_id).chain
        try:
            check_version(before, after, row.order, is_elsewhere=is_elsewhere)
        except InvalidRequest as error:
            raise _placed(error, row) from None
        if not is_elsewhere:
            row.order = without_replaced_sub_chain(before, after, row.order)
    # Find these before the version changes: what the order waits for depends on its current version.
    again = [] if is_elsewhere else trees.ended_in_vain(row)
    trees.give_version(row, version_id)
    for child in again:
        if child.order.branch is not None:
            _take(trees, child, version_id, wanted)
        elif wanted == NEWEST:
            _take(trees, child, _find(child.chain_id, NEWEST)[1], wanted)


def _placed(error: InvalidRequest, row: OrderRow) -> InvalidRequest:
    """Return the error with the name of the order concerned, if that is a branch or a sub-chain."""
    order = row.order
    if order.parent is None:
        return error
    branch = order.branch
    if branch is None:
        where = f"order {row.id} of the sub-chain"
    else:
        where = f'branch "{branch.index if branch.name is None else branch.name}" of "{branch.fork}"'
    return InvalidRequest.combined(InvalidRequest(each.field, f"{where}: {each.message}") for each in error.problems)
