"""Idle slots: what is left of them when what waits for its instant is counted by its mean."""

from __future__ import annotations

import pytest

from tests.support.executions import execution, served_group
from timers.engine.execution import Execution
from timers.worker.capacity import Slots
from timers.worker.idle_slots import IdleSlots
from timers.worker.run_time_mean import Pace

LOOK_AHEAD = 1.5


@pytest.mark.parametrize(
    ("idle", "ahead", "seconds", "left"),
    [
        (5, 0, 0.03, 5),
        (5, 150, 0.03, 2),
        (5, 400, 0.03, 0),
        (5, 2, 8.0, 3),
        (5, 2, None, 3),
        (0, 0, 0.03, 0),
    ],
    ids=["nothing ahead", "spread over the look-ahead", "a burst", "slow ones", "of unknown run time", "none is idle"],
)
def test_idle_threads_less_what_is_claimed_ahead(idle: int, ahead: int, seconds: float | None, left: int) -> None:
    pace = Pace()
    if seconds is not None:
        pace.measured(1, seconds, 8)
    waiting: list[Execution] = [execution(group=served_group(1)) for _ in range(ahead)]
    slots = IdleSlots(lambda: idle, lambda: 7, lambda: waiting, pace, LOOK_AHEAD)
    assert slots(Slots.THREADS) == left
    assert slots(Slots.ASYNC) == 7, "the other kind is counted by itself"
