"""Apply one operation to many orders: each in its own transaction and with its own audit entry; errors are collected.

The locks of one order are taken in a fixed order; this would not be possible for a thousand in one transaction.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from django.db import DatabaseError

from timers.control.chains.many_checks import VERBS, check_verb
from timers.database import connection, transaction
from timers.exceptions import TimersError

logger = logging.getLogger(__name__)
SECONDS: Final = 15.0
"""Maximum duration of one call in seconds: shorter than the limit of a request."""


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


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an operation on many orders has come."""

    begun: int = 0
    """Number of orders that were handled."""
    refused: tuple[Refused, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"begun": self.begun, "refused": [[each.order, each.message] for each in self.refused]}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Progress:
        """Return the stored progress; an empty object is that of an operation that has not begun."""
        refused = tuple(Refused(order, message) for order, message in stored.get("refused", ()))
        return cls(stored.get("begun", 0), refused)


class OrderRun:
    """An operation on chosen orders, one after the other; it can continue where another process stopped.

    Args:
        verb: One of VERBS.
        orders: The ids of the orders, in the sequence in which they are handled.
        arguments: Those of the operation, such as `reason`, or `to` of move.
        has_more: Whether more orders were meant than were chosen.
        seconds: No further order is begun after this time.
        actor: Who requests it; empty: the current actor.

    Raises:
        InvalidRequest: There is no such operation, or it does not accept these arguments.
    """

    def __init__(
        self,
        verb: str,
        orders: Sequence[str],
        arguments: dict[str, Any],
        *,
        has_more: bool = False,
        seconds: float = SECONDS,
        actor: str = "",
    ) -> None:
        check_verb(verb, arguments)
        self._call, self._arguments, self._actor = VERBS[verb], arguments, actor
        self._orders, self._has_more = orders, has_more
        self._until = monotonic() + seconds
        self._is_begun = False

    def is_over(self, progress: Progress) -> bool:
        """Return whether all orders were handled, or the time is over. At least one is handled within the time."""
        return progress.begun >= len(self._orders) or (self._is_begun and monotonic() >= self._until)

    def go_on(self, progress: Progress) -> Progress:
        """Handle the next order, in its own transaction or a savepoint of the caller's; return the new progress.

        Raises:
            DatabaseError: The connection is lost. Any other error is the order's own, and part of the progress.
        """
        self._is_begun = True
        order = self._orders[progress.begun]
        try:
            with transaction.atomic():
                self._call(order, actor=self._actor, **self._arguments)
        except TimersError as error:
            message = str(error)
        except DatabaseError as error:
            if connection.needs_rollback or not connection.is_usable():
                raise
            # For example a deadlock with the order's worker: only this order's transaction was rolled back.
            logger.warning("order %s: database error: %s", order, error)
            message = f"database error: {str(error).partition(chr(10))[0]}. Repeat the request for this order."
        except (LookupError, ValueError, TypeError) as error:
            logger.exception("order %s cannot be read", order)
            message = f"the order cannot be read: {error}"
        else:
            return Progress(progress.begun + 1, progress.refused)
        return Progress(progress.begun + 1, (*progress.refused, Refused(order, message)))

    def result(self, progress: Progress) -> ManyOrders:
        """Return the result for the orders that were handled."""
        refused = {each.order for each in progress.refused}
        handled = self._orders[: progress.begun]
        is_rest = self._has_more or progress.begun < len(self._orders)
        return ManyOrders(
            [order for order in handled if order not in refused],
            list(progress.refused),
            next=handled[-1] if handled and is_rest else None,
        )


def for_each_order(
    verb: str,
    ids: Sequence[str],
    *,
    has_more: bool = False,
    seconds: float = SECONDS,
    actor: str = "",
    **arguments: Any,
) -> ManyOrders:
    """Apply one operation to each of these orders.

    Args:
        verb: One of VERBS.
        ids: The orders; they are handled in this sequence.
        has_more: Whether more orders were meant than these: `next` of the result is the last of these then.
        seconds: No further order is begun after this time; `next` of the result is the last one that was.
        actor: Who requests it; empty: the current actor.
        arguments: Those of the operation, such as `reason`, or `to` of move.

    Returns:
        The orders on which it succeeded, and those on which it failed with the reason. If the connection to the
        database is lost, the result ends with the order before.

    Raises:
        InvalidRequest: There is no such operation, or it does not accept these arguments.
        DatabaseError: The connection to the database was lost at the first order.
    """
    run = OrderRun(verb, ids, arguments, has_more=has_more, seconds=seconds, actor=actor)
    progress = Progress()
    while not run.is_over(progress):
        try:
            progress = run.go_on(progress)
        except DatabaseError:
            if not progress.begun:
                raise
            logger.exception("the database is unavailable after %s of %s orders", progress.begun, len(ids))
            break
    return run.result(progress)
