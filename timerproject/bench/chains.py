"""chains: steps of orders per second, and the time from the end of a step to the start of the next one."""

from __future__ import annotations

import time
from datetime import timedelta
from statistics import median
from typing import Any, Final

from django.db import connection

from timerproject.bench.figures import Run, drained, wait_until_drained
from timerproject.bench.ground import HANDLER, Ground, due_one_shots, one_shots_at
from timerproject.bench.node_process import NodeProcess
from timers import clock
from timers.chains import create_chain
from timers.models import TimerGroup
from timers.scheduling import pause_group, resume_group, update_group

CHAIN: Final = "steps"
STEPS: Final = 4
"""Number of steps of each order; none of them does anything."""
PROBES: Final = 250
"""Number of orders whose steps are timed on the idle node, one at a time."""
GAP: Final = timedelta(milliseconds=40)
"""Time from the start of one of these orders to the next."""

_GAPS: Final = """
SELECT count(*), percentile_cont(ARRAY[0.5, 0.9, 0.99, 1]) WITHIN GROUP (ORDER BY gap)
FROM (SELECT extract(epoch FROM started_at - lag(finished_at) OVER (PARTITION BY timer_id ORDER BY attempt))::float8
             * 1000 AS gap
      FROM timers_attempt
      WHERE timer_id BETWEEN %(first)s AND %(last)s AND group_id = %(group_id)s AND started_at IS NOT NULL) g
WHERE gap IS NOT NULL
"""


def measure(*, executions: int, workers: int, threads: int | None = None, runs: int = 3) -> dict[str, Any]:
    """Run `executions` orders of a chain of STEPS steps, `runs` times; then time the steps on the idle node."""
    with Ground() as ground, NodeProcess(ground, workers=workers, threads=threads) as node:
        group = _group(ground, "chains")
        found = [_walk(group, executions, node) for _ in range(runs)]
        overhead = _overhead(_group(ground, "idle"), node)
        memory = node.resident_mb
    return {
        "steps_per_second": round(median(run["steps_per_second"] for run in found)), "overhead_ms": overhead,
        "node_mb": memory, "runs": found,
    }  # fmt: skip


def _group(ground: Ground, purpose: str) -> TimerGroup:
    """Create a group whose timers start orders of a chain of its own."""
    group = ground.group(purpose)
    names = [f"step-{number}" for number in range(1, STEPS + 1)]
    steps = {
        name: {"action": {"handler": HANDLER}, "next": after}
        for name, after in zip(names, [*names[1:], "end"], strict=True)
    }
    create_chain(group.name, CHAIN, {"steps": {**steps, "end": {"kind": "end"}}}, actor="timerbench")
    return update_group(group.name, action={"kind": "chain", "chain": CHAIN}, actor="timerbench")


def _walk(group: TimerGroup, orders: int, node: NodeProcess) -> dict[str, Any]:
    """Run `orders` orders. All exist before the first starts: the group is paused while their timers are created."""
    pause_group(group.name, reason="being filled")
    run = Run(group, due_one_shots(group.name, orders))
    due = clock.now()
    resume_group(group.name)
    told = drained(run, wait_until_drained(run, due, node))
    return {
        "orders": told["executions"], "steps": told["other_rows"], "seconds": told["seconds"],
        "steps_per_second": round(told["other_rows"] / told["seconds"]), "claims": told["claims"],
        "by_worker": told["by_worker"],
    }  # fmt: skip


def _overhead(group: TimerGroup, node: NodeProcess) -> dict[str, Any]:
    first = clock.now() + timedelta(seconds=2)
    run = Run(group, one_shots_at(group.name, first, GAP, PROBES))
    time.sleep(max(0.0, (first + PROBES * GAP - clock.now()).total_seconds()))
    wait_until_drained(run, clock.now(), node)
    return between_steps(run)


def between_steps(run: Run) -> dict[str, Any]:
    """Return the milliseconds from the end of a step's handler to the next one's start, over all orders of a run."""
    with connection.cursor() as cursor:
        cursor.execute(_GAPS, run.bounds)
        count, quantiles = cursor.fetchone()
    named = zip(("p50", "p90", "p99", "most"), quantiles or [], strict=False)
    return {"gaps": count, **{name: round(ms, 3) for name, ms in named}}
