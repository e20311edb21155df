"""A change of one order by a person or a program: lock in order, send the event, update the timer."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from timers.domain.chains import Tallies, events
from timers.engine.advance import end_locked, lock_timers
from timers.engine.delete_finished import delete_finished
from timers.engine.group_clock import GroupClock
from timers.engine.orders.rows import OrderRow, lock_roots
from timers.engine.orders.trees import Trees
from timers.engine.orders.versions import take_version
from timers.exceptions import TimerNotFound
from timers.models import TimerGroup
from timers.schedules.instant import to_microseconds


class OrderChange:
    """Locks an order's timer and tree, in a transaction of the caller.

    Args:
        order: The order.
        root: The root of its tree.
        timer_id: Its timer.
        now: The current instant of the database clock.

    Raises:
        TimerNotFound: The order has been deleted meanwhile.
    """

    def __init__(self, order: str, root: str, timer_id: int, now: datetime) -> None:
        self._order, self._now = order, now
        self._timers = lock_timers([timer_id])
        roots = lock_roots([root])
        if root not in roots:
            raise TimerNotFound(f"order {order} has been deleted")
        group = TimerGroup.objects.get(id=roots[root].group_id)
        self._clock = GroupClock.of(group)
        self._trees = Trees(roots, to_microseconds(now), {group.id: self._clock})
        self._trees.load([order])

    @property
    def row(self) -> OrderRow:
        """The order."""
        return self._trees.row(self._order)

    @property
    def tallies(self) -> Tallies | None:
        """The branches that it waits for; None where it waits for none."""
        return self._trees.tallies(self._order)

    def take_version(self, wanted: Any, *, is_elsewhere: bool) -> int:
        """Switch the order to another version of its chain; return the number (see versions.take_version)."""
        return take_version(self._trees, self._order, wanted, is_elsewhere=is_elsewhere)

    def send(self, event: events.Event) -> None:
        """Handle an event of the order and its consequences."""
        self._trees.send(self._order, event)

    def write(self) -> None:
        """Write all changes, and advance the timer if the whole order has ended."""
        self._trees.write()
        for row in self._trees.ended:
            if row.order.parent is None and row.order.outcome is not None:
                ended = (row.id, row.timer_id, self._clock.moment(self._now), row.group_id)
                end_locked(self._timers, [ended], row.order.outcome, to_microseconds(self._now))
        delete_finished([timer.id for timer in self._timers.values() if timer.state == "finished"])
