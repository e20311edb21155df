"""The last run of a finished timer that becomes active again: the next run may have to wait for its end.

A one-shot is finished as soon as it has fired, whatever happens to its execution; its row does not wait for the end.
"""

from __future__ import annotations

from timers.domain.execution_id import execution_id, ids_open_as
from timers.engine.fence import await_end
from timers.engine.siblings import ordinals_of, still_open
from timers.engine.under_way import lock_ready
from timers.models import Timer
from timers.schedules.instant import to_microseconds


def wait_for_last_run(timer: Timer) -> None:
    """Make a locked timer wait for its last execution, if that has not ended."""
    if timer.last_fire_at is None or timer.open_execution is not None:
        return
    occurrence = execution_id(to_microseconds(timer.last_fire_at), timer.id)
    ordinals = ordinals_of([timer.group_id]).get(timer.group_id, [])
    ids = ids_open_as(occurrence, ordinals)
    # This waits for a claim in progress, which await_end then finds; a later claim sees the timer's open execution.
    lock_ready(ids)
    await_end(ids, timer.group_id)
    if still_open({occurrence: ordinals}, [timer.group_id], ()):
        timer.open_execution = occurrence
