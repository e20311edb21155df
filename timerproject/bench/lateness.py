"""lateness: how long after its instant a timer's handler starts."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from timerproject.bench.figures import Run, lateness, wait_until_drained
from timerproject.bench.ground import CREATED_A_SECOND, PAYLOAD, Ground, far_future, one_shots_at
from timerproject.bench.node_process import NodeProcess
from timers import clock
from timers.models import TimerGroup
from timers.schedules.instant import from_microseconds
from timers.scheduling import schedule_once


def measure(
    *,
    rate: int,
    seconds: float,
    workers: int,
    threads: int | None = None,
    future: int = 0,
    created_ahead_ms: float | None = None,
) -> dict[str, Any]:
    """Run one-shots at an even `rate` a second over `seconds`; created all before, or each just before its instant."""
    count = max(1, round(rate * seconds))
    with Ground() as ground:
        group = ground.group("lateness")
        far_future(group.name, future)
        with NodeProcess(ground, workers=workers, threads=threads) as node:
            gap = timedelta(seconds=1 / rate)
            if created_ahead_ms is None:
                first = clock.now() + timedelta(seconds=3 + count / CREATED_A_SECOND)
                run = Run(group, one_shots_at(group.name, first, gap, count))
                found: dict[str, Any] = {}
            else:
                run, found = _created_just_ahead(group, count, gap, created_ahead_ms)
                first = clock.now() - count * gap
            time.sleep(max(0.0, (first + count * gap - clock.now()).total_seconds()))
            wait_until_drained(run, clock.now(), node)
            return {**lateness(run), "rate": rate, "created_ahead_ms": created_ahead_ms, **found}


def _created_just_ahead(group: TimerGroup, count: int, gap: timedelta, ahead_ms: float) -> tuple[Run, dict[str, Any]]:
    """Create each timer when its instant is `ahead_ms` away; those not created in time are reported."""
    database = clock.DatabaseClock(clock.now())
    first_us = database.now_us() + round(ahead_ms * 1000) + 100_000
    gap_us = gap / timedelta(microseconds=1)
    ids: list[int] = []
    behind = 0
    for number in range(count):
        at_us = first_us + round(number * gap_us)
        create_at_us = at_us - round(ahead_ms * 1000)
        time.sleep(max(0, create_at_us - database.now_us()) / 1e6)
        behind += database.now_us() > create_at_us + 10_000
        ids.append(schedule_once(group.name, f"soon-{number}", at=from_microseconds(at_us), payload=PAYLOAD).id)
    return Run(group, ids), {"created_more_than_10_ms_behind": behind}
