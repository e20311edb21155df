"""Order in which ledger rows are listed: newest occurrence first, and newest row of an execution first.

The final row of an execution is its newest, but has the lowest id: the execution's own. So pages are read by falling
ids and sorted afterwards. If a page ends within an execution, its final row is read too, and left out of the next page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar
from uuid import UUID

from timers.domain.execution_id import MAX_TRIES

Row = TypeVar("Row")


class Rest(NamedTuple):
    """What the next page contains: rows with ids below `below`, except the final row `seen`; None: no such bound."""

    below: UUID | None = None
    seen: UUID | None = None


def execution_of(row: UUID) -> UUID:
    """Return the id of the execution that a row belongs to, which is the id of its final row."""
    return UUID(int=row.int & ~MAX_TRIES)


def newest_first(rows: Iterable[Row], id_of: Callable[[Row], UUID]) -> list[Row]:
    """Sort rows into listing order."""

    def place(row: Row) -> tuple[int, int]:
        number = id_of(row).int & MAX_TRIES
        return -execution_of(id_of(row)).int, -(number or MAX_TRIES + 1)

    return sorted(rows, key=place)


def rest_after(last: UUID | None) -> Rest:
    """Return what follows the last row of a page; None: everything."""
    if last is None:
        return Rest()
    execution = execution_of(last)
    # The final row is followed by the attempts, which have higher ids.
    return Rest(UUID(int=execution.int + MAX_TRIES + 1) if last == execution else last, execution)


def place_below(looked_at: UUID) -> UUID:
    """Return the end of a page that has read all rows down to this id, as a row that rest_after() accepts."""
    return UUID(int=looked_at.int | 1) if looked_at == execution_of(looked_at) else looked_at


def unseen_final(found: Iterable[UUID], last_looked_at: UUID | None, rest: Rest) -> UUID | None:
    """Return the final row to read in addition if a page ends within its execution; the row may not exist.

    Args:
        found: Ids on the page.
        last_looked_at: Lowest id that was read; None: there is nothing below.
        rest: What the page was read from.
    """
    if last_looked_at is None:
        return None
    final = execution_of(last_looked_at)
    return None if final in {rest.seen, last_looked_at, *found} else final
