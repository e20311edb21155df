"""Cancel claimed executions: at once if they have not begun; else by a cancellation request to their holder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from timers import clock
from timers.engine.claimed import load_claimed
from timers.engine.execution import AnyHolder
from timers.engine.fence import ASKED_TO_END, revoke
from timers.engine.finish import finish
from timers.engine.orders.cancelling import lock_orders_of_timer
from timers.engine.outcome import Outcome
from timers.engine.under_way import UnderWay, call_back, under_way_of
from timers.schedules.instant import to_microseconds

_NOT_BEGUN: Final = "it had not begun"


def cancel_claimed(
    timer_id: int,
    group_id: int,
    only: Callable[[UnderWay], bool] = lambda _: True,
    *,
    begun_too: bool = True,
    reason: str = ASKED_TO_END,
) -> tuple[list[str], list[str]]:
    """Cancel the claimed executions of a locked timer.

    Ready executions are locked, but the caller must end them.

    Args:
        timer_id: id of the locked timer.
        group_id: id of its group.
        only: restricts the call to matching executions.
        begun_too: whether executions in flight are requested to end.
        reason: why they are cancelled, as recorded in the ledger.

    Returns:
        The ids of the cancelled executions, and of those in flight.
    """
    ending = lock_orders_of_timer(timer_id)
    called_back = call_back(
        lambda: [each for each in under_way_of(group_id, [timer_id]) if only(each) and each.id not in ending],
        lambda found: {each.id for each in found},
    )
    claimed = {each.id for each in called_back.unbegun if each.fence is not None}
    revoke([*claimed, *(called_back.in_flight if begun_too else ())], group_id, reason)
    by_holder: dict[AnyHolder, list[Outcome]] = {}
    now_us = to_microseconds(clock.now())
    for execution, holder in load_claimed(called_back.held, claimed) if claimed else ():
        by_holder.setdefault(holder, []).append(Outcome(execution, "lost", None, now_us, reason=_NOT_BEGUN))
    for holder, outcomes in by_holder.items():
        finish(holder, outcomes, now_us)
    return sorted(claimed), called_back.in_flight
