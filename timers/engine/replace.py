"""Replace: the next execution of a timer replaces the open one (overlap policy replace)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from timers.domain.execution_id import ids_open_as, open_as
from timers.engine.end_waiting import end_waiting
from timers.engine.execution import ServedGroup
from timers.engine.fence import revoke
from timers.engine.orders.cancelling import cancel_orders, orders_among
from timers.engine.queued import MADE_UP
from timers.engine.siblings import still_open

REPLACED: Final = "replaced by the next fire"
LOOKS: Final = 3
"""Number of looks: a worker may release an execution, and another claim it, while it is looked for."""


def drop_queue(timers: Sequence[int]) -> None:
    """Skip the scheduled fires queued for these (locked) timers, except for those that make up for missed instants."""
    if timers:
        end_waiting(
            "state = 'queued' AND origin = 'schedule' AND attempt = 0 AND reason <> %(made_up)s"
            " AND timer_id = ANY(%(timers)s::bigint[])",
            "skipped", "replaced", timers=list(timers), made_up=MADE_UP,
        )  # fmt: skip


def make_way(open_executions: Mapping[str, int], group: ServedGroup) -> list[str]:
    """Cancel open executions (id -> its locked timer), and drop the fires queued behind them.

    Returns those that have already ended, because they only waited for a retry. A claimed one is revoked: it is
    cancelled at once if it has not started, and cooperatively if it has; its successor waits for that. With
    subscriptions, all executions of the occurrence are cancelled.
    """
    drop_queue(list(open_executions.values()))
    ordinals = [each.ordinal for each in group.subscribers]
    left, ended = {each for open_one in open_executions for each in ids_open_as(open_one, ordinals)}, list[str]()
    if orders := orders_among(list(left)):
        ended += cancel_orders(orders, REPLACED)
        left -= {order for order, *_ in orders}
    for _ in range(LOOKS if left else 0):
        ended += end_waiting(
            "state = 'ready' AND id = ANY(%(ids)s::uuid[])", "cancelled", REPLACED, wait=True, ids=list(left)
        )
        left -= {*ended, *revoke(left.difference(ended), group.id, REPLACED)}
        if not left:
            break
    if not ordinals:
        return [open_as(execution) for execution in ended]
    living = still_open(dict.fromkeys(open_executions, ordinals), [group.id], ())
    return [each for each in {open_as(execution) for execution in ended} if each not in living]
