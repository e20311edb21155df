"""backlog: one-shot and recurring timers that became due while no node ran, and their effect on other timers."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any, Final

from timerproject.bench.figures import Run, drained, lateness, wait_until_drained
from timerproject.bench.ground import CREATED_A_SECOND, Ground, due_one_shots, fixed_rates, one_shots_at
from timerproject.bench.node_process import NodeProcess
from timers import clock
from timers.scheduling import pause_group, resume_group

DAY: Final = 86_400.0
NEIGHBOURS_A_SECOND: Final = 10


def measure(*, executions: int, workers: int, threads: int | None = None) -> dict[str, Any]:
    """Half one-shots, half daily timers, all overdue when their group is resumed; another group fires meanwhile."""
    with Ground() as ground:
        group = ground.group("backlog")
        neighbour = ground.group("neighbour")
        pause_group(group.name, reason="being filled")
        with NodeProcess(ground, workers=workers, threads=threads) as node:
            recurring = executions // 2
            first = clock.now() + timedelta(seconds=1 + recurring / CREATED_A_SECOND)
            timers = fixed_rates(group.name, DAY, first, recurring)
            timers += due_one_shots(group.name, executions - recurring)
            time.sleep(max(0.0, (first - clock.now()).total_seconds()) + 0.1)
            due = clock.now()
            gap = timedelta(seconds=1 / NEIGHBOURS_A_SECOND)
            others = Run(neighbour, one_shots_at(neighbour.name, due + timedelta(seconds=0.5), gap, 600))
            resume_group(group.name)
            run = Run(group, timers)
            found = drained(run, wait_until_drained(run, due, node))
            return {**found, "node_mb": node.resident_mb, "neighbours_meanwhile": lateness(others)}
