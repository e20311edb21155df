"""The last run of a timer that has finished and becomes active again: the next one may have to wait for its end.

A one-shot is finished as soon as it has fired, whatever becomes of its execution; its row does not wait for the end.
"""

from __future__ import annotations

from typing import Final

from django.db import connection

from timers.execution_id import execution_id, ids_open_as
from timers.lifecycle.arrays import plain_array
from timers.lifecycle.fence import await_end
from timers.lifecycle.siblings import ordinals_of, still_open
from timers.models import Timer
from timers.schedules.instant import to_microseconds

_LOCK_WAITING: Final = "SELECT id FROM timers_waiting WHERE id = ANY(%s::uuid[]) ORDER BY id FOR UPDATE"


def wait_for_last_run(timer: Timer) -> None:
    """Let a locked timer wait for its last execution, where that has not ended."""
    if timer.last_fire_at is None or timer.open_execution is not None:
        return
    occurrence = execution_id(to_microseconds(timer.last_fire_at), timer.id)
    ordinals = ordinals_of([timer.group_id]).get(timer.group_id, [])
    ids = ids_open_as(occurrence, ordinals)
    with connection.cursor() as cursor:
        # A claim of it under way is waited for, and a later one finds the timer waiting.
        cursor.execute(_LOCK_WAITING, (plain_array(ids),))
    await_end(ids, timer.group_id)
    if still_open({occurrence: ordinals}, [timer.group_id], ()):
        timer.open_execution = occurrence
