"""Replace: an execution makes way for the next one of its timer (overlap policy replace)."""

from __future__ import annotations

from collections.abc import Mapping

from timers.lifecycle.end_waiting import end_waiting
from timers.lifecycle.fence import revoke

REPLACED = "replaced by the next fire"


def make_way(open_executions: Mapping[str, int], group_id: int) -> list[str]:
    """Tell open executions (id -> its locked timer) to end, and drop what queues behind them.

    Returns those that are ended already, since they only waited for another try. One that a worker holds is asked to
    end: it is cancelled at once where it has not begun, and cooperatively where it has; its successor waits for that.
    """
    end_waiting(
        "state = 'queued' AND origin = 'schedule' AND timer_id = ANY(%(timers)s::bigint[])",
        "skipped", "replaced", timers=list(open_executions.values()),
    )  # fmt: skip
    ended = end_waiting(
        "state = 'ready' AND id = ANY(%(ids)s::uuid[])", "cancelled", REPLACED, ids=list(open_executions)
    )
    revoke([execution for execution in open_executions if execution not in set(ended)], group_id)
    return ended
