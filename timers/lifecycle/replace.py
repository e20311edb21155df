"""Replace: an execution makes way for the next one of its timer (overlap policy replace)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from timers.lifecycle.end_waiting import end_waiting
from timers.lifecycle.fence import revoke

REPLACED: Final = "replaced by the next fire"
LOOKS: Final = 3
"""A worker may give an execution back, and another take it up, while it is looked for."""


def make_way(open_executions: Mapping[str, int], group_id: int) -> list[str]:
    """Tell open executions (id -> its locked timer) to end, and drop what queues behind them.

    Returns those that are ended already, since they only waited for another try. One that a worker holds is asked to
    end: it is cancelled at once where it has not begun, and cooperatively where it has; its successor waits for that.
    """
    end_waiting(
        "state = 'queued' AND origin = 'schedule' AND timer_id = ANY(%(timers)s::bigint[])",
        "skipped", "replaced", timers=list(open_executions.values()),
    )  # fmt: skip
    left, ended = set(open_executions), list[str]()
    for _ in range(LOOKS):
        ended += end_waiting(
            "state = 'ready' AND id = ANY(%(ids)s::uuid[])", "cancelled", REPLACED, wait=True, ids=list(left)
        )
        left -= {*ended, *revoke(left.difference(ended), group_id)}
        if not left:
            break
    return ended
