"""burst: how a burst of slow timers is shared by the workers of several nodes, and how late its executions start."""

from __future__ import annotations

import time
from contextlib import ExitStack
from datetime import timedelta
from typing import Any, Final

from django.db import connection

from timers import clock
from timers.bench.figures import Run, lateness, wait_until_drained
from timers.bench.ground import Ground, one_shots_at
from timers.bench.node_process import NodeProcess

SLEEPER: Final = "timerbench.sleep"

_BY_WORKER: Final = """
SELECT node, worker, count(*) FROM timers_attempt
WHERE timer_id BETWEEN %(first)s AND %(last)s AND group_id = %(group_id)s GROUP BY node, worker ORDER BY node, worker
"""


def measure(*, executions: int, nodes: int, workers: int, run_seconds: float, ahead: float) -> dict[str, Any]:
    """`executions` one-shots of one instant, whose handlers take `run_seconds`, created `ahead` seconds before it.

    Twice: while no worker knows how long they take, and when all do.
    """
    with Ground() as ground, ExitStack() as running:
        group = ground.group("burst", action={"handler": SLEEPER})
        first = running.enter_context(NodeProcess(ground, workers=workers, name="1"))
        for number in range(2, nodes + 1):
            running.enter_context(NodeProcess(ground, workers=workers, name=str(number)))
        found: dict[str, Any] = {"threads": nodes * workers * 8}
        for title in ("unknown", "known"):
            at = clock.now() + timedelta(seconds=ahead)
            run = Run(group, one_shots_at(group.name, at, timedelta(), executions, payload=run_seconds))
            time.sleep(max(0.0, (at - clock.now()).total_seconds()))
            wait_until_drained(run, at, first)
            with connection.cursor() as cursor:
                cursor.execute(_BY_WORKER, run.bounds)
                shares = {f"{node.rpartition('-')[2]}/{worker}": count for node, worker, count in cursor.fetchall()}
            found[title] = {"by_worker": shares, "lateness": lateness(run)}
        return found
