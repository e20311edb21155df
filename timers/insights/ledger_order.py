"""The order in which the ledger's rows are listed: the newest occurrence first, and of an execution the newest row.

The final row of an execution is its newest, but has the lowest id of them: the execution's own. So pages are read by
falling ids and put in order afterwards. Where a page ends within an execution, that one's final row is read with it,
and left out of the next page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar
from uuid import UUID

from timers.domain.execution_id import MAX_TRIES

Row = TypeVar("Row")


class Rest(NamedTuple):
    """What a next page has: rows with ids below `below`, but for the final row `seen`; None: no such bound."""

    below: UUID | None = None
    seen: UUID | None = None


def execution_of(row: UUID) -> UUID:
    """The id of the execution that a row belongs to, which is the id of its final row."""
    return UUID(int=row.int & ~MAX_TRIES)


def newest_first(rows: Iterable[Row], id_of: Callable[[Row], UUID]) -> list[Row]:
    """Sort rows into the order in which they are listed."""

    def place(row: Row) -> tuple[int, int]:
        number = id_of(row).int & MAX_TRIES
        return -execution_of(id_of(row)).int, -(number or MAX_TRIES + 1)

    return sorted(rows, key=place)


def rest_after(last: UUID | None) -> Rest:
    """What is left after the row that a page ended with; None: everything."""
    if last is None:
        return Rest()
    execution = execution_of(last)
    # After the final row come the tries, which have higher ids.
    return Rest(UUID(int=execution.int + MAX_TRIES + 1) if last == execution else last, execution)


def place_below(looked_at: UUID) -> UUID:
    """Where a page ends that has looked at all rows down to this id: a row that rest_after() takes."""
    return UUID(int=looked_at.int | 1) if looked_at == execution_of(looked_at) else looked_at


def unseen_final(found: Iterable[UUID], last_looked_at: UUID | None, rest: Rest) -> UUID | None:
    """The final row that must be read in addition, because a page ends within its execution; it may not exist.

    Args:
        found: the ids on the page.
        last_looked_at: the lowest id that was read; None: there is nothing below.
        rest: what the page was read from.
    """
    if last_looked_at is None:
        return None
    final = execution_of(last_looked_at)
    return None if final in {rest.seen, last_looked_at, *found} else final
