"""recurring: whether many timers with a short period all fire, and how late."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from timerproject.bench.figures import Run, fires_between, lateness
from timerproject.bench.ground import CREATED_A_SECOND, Ground, fixed_rates
from timerproject.bench.node_process import NodeProcess
from timers import clock
from timers.scheduling import pause_group


def measure(
    *, executions: int, seconds: float, workers: int, period: float = 1.0, threads: int | None = None
) -> dict[str, Any]:
    """Run `executions` timers of one `period`, their instants spread over it, for `seconds`."""
    with Ground() as ground:
        group = ground.group("recurring")
        with NodeProcess(ground, workers=workers, threads=threads) as node:
            first = clock.now() + timedelta(seconds=3 + executions / CREATED_A_SECOND)
            run = Run(group, fixed_rates(group.name, period, first, executions, spread=period))
            time.sleep(max(0.0, (first - clock.now()).total_seconds()) + seconds)
            until = clock.now()
            pause_group(group.name, reason="measured long enough")
            node.check()
            fires = fires_between(run, first, until)
            return {
                "timers": executions,
                "period": period,
                **fires,
                "due_per_second": round(executions / period),
                "lateness": lateness(run),
                "node_mb": node.resident_mb,
            }
