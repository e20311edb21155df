"""Replace: an execution makes way for the next one of its timer (overlap policy replace)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from timers.execution_id import occurrence_of, with_ordinal
from timers.lifecycle.end_waiting import end_waiting
from timers.lifecycle.execution import ServedGroup
from timers.lifecycle.fence import revoke
from timers.lifecycle.siblings import still_open

REPLACED: Final = "replaced by the next fire"
LOOKS: Final = 3
"""A worker may give an execution back, and another take it up, while it is looked for."""


def make_way(open_executions: Mapping[str, int], group: ServedGroup) -> list[str]:
    """Tell open executions (id -> its locked timer) to end, and drop what queues behind them.

    Returns those that are ended already, since they only waited for another try. One that a worker holds is asked to
    end: it is cancelled at once where it has not begun, and cooperatively where it has; its successor waits for that.
    Where there are subscriptions, all executions of the occurrence make way.
    """
    end_waiting(
        "state = 'queued' AND origin = 'schedule' AND timer_id = ANY(%(timers)s::bigint[])",
        "skipped", "replaced", timers=list(open_executions.values()),
    )  # fmt: skip
    ordinals = [each.ordinal for each in group.subscribers]
    left, ended = {with_ordinal(each, ordinal) for each in open_executions for ordinal in (0, *ordinals)}, list[str]()
    for _ in range(LOOKS):
        ended += end_waiting(
            "state = 'ready' AND id = ANY(%(ids)s::uuid[])", "cancelled", REPLACED, wait=True, ids=list(left)
        )
        left -= {*ended, *revoke(left.difference(ended), group.id, REPLACED)}
        if not left:
            break
    if not ordinals:
        return ended
    living = still_open(dict.fromkeys(open_executions, ordinals), [group.id], ())
    return [each for each in {occurrence_of(execution) for execution in ended} if each not in living]
