"""burst: how a burst of slow timers is shared by the workers of several nodes, and how late its executions start."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any, Final

from timerproject.bench.figures import Run, lateness, shares, wait_until_drained
from timerproject.bench.ground import Ground, one_shots_at
from timerproject.bench.node_process import running_nodes
from timers import clock

SLEEPER: Final = "timerbench.sleep"


def measure(*, executions: int, nodes: int, workers: int, run_seconds: float, ahead: float) -> dict[str, Any]:
    """Run `executions` one-shots of one instant, whose handlers take `run_seconds`, created `ahead` seconds before it.

    Measured twice: before any worker knows their run time, and when all workers do.
    """
    with Ground() as ground, running_nodes(ground, nodes, workers=workers) as together:
        group = ground.group("burst", action={"handler": SLEEPER})
        found: dict[str, Any] = {"threads": nodes * workers * 8}
        for title in ("unknown", "known"):
            at = clock.now() + timedelta(seconds=ahead)
            run = Run(group, one_shots_at(group.name, at, timedelta(), executions, payload=run_seconds))
            time.sleep(max(0.0, (at - clock.now()).total_seconds()))
            wait_until_drained(run, at, *together)
            found[title] = {"by_worker": shares(run), "lateness": lateness(run)}
        return found
