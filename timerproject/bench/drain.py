"""drain: due one-shots fired and recorded per second, compared with the limit of the same statements."""

from __future__ import annotations

from contextlib import nullcontext
from statistics import median
from typing import Any

from timerproject.bench.figures import Run, drained, wait_until_drained
from timerproject.bench.ground import Ground, due_one_shots, far_future
from timerproject.bench.held_snapshot import held_snapshot
from timerproject.bench.node_process import NodeProcess, running_nodes
from timerproject.bench.raw_limit import raw_drain
from timers import clock
from timers.models import TimerGroup
from timers.scheduling import pause_group, resume_group


def measure(
    *,
    executions: int,
    workers: int,
    nodes: int = 1,
    threads: int | None = None,
    runs: int = 3,
    future: int = 0,
    raw: bool = True,
    hold_snapshot: bool = False,
    on_finish: str = "keep",
) -> dict[str, Any]:
    """Drain `executions` due one-shots with `nodes` nodes, `runs` times, alternating with the raw limit.

    `raw`: between the runs, as many processes as there are workers execute the same statements directly. `future`:
    timers far ahead in the same group. `hold_snapshot`: one more drain while another transaction holds its snapshot.
    """
    with Ground() as ground:
        group = ground.group("drain", on_finish=on_finish)
        by_hand = ground.group("raw")
        pause_group(by_hand.name, reason="drained by hand")
        far_future(group.name, future)
        product: list[dict[str, Any]] = []
        limit: list[dict[str, Any]] = []
        with running_nodes(ground, nodes, workers=workers, threads=threads) as together:
            for _ in range(runs):
                product.append(_drain(group, executions, together))
                if raw:
                    due_one_shots(by_hand.name, executions)
                    limit.append(raw_drain(by_hand.id, executions, nodes * workers))
            held = _drain(group, executions, together, hold_snapshot=True) if hold_snapshot else None
            memory = together[0].resident_mb
    per_second = round(median(run["per_second"] for run in product))
    found: dict[str, Any] = {"per_second": per_second, "node_mb": memory, "runs": product}
    if limit:
        raw_per_second = round(median(run["per_second"] for run in limit))
        found |= {"raw_per_second": raw_per_second, "of_raw": round(per_second / raw_per_second, 3), "raw_runs": limit}
    if held:
        found["held_snapshot"] = {**held, "of_normal": round(held["per_second"] / per_second, 3)}
    return found


def _drain(
    group: TimerGroup, executions: int, nodes: list[NodeProcess], *, hold_snapshot: bool = False
) -> dict[str, Any]:
    """Drain once. All timers exist before the first is fired: the group is paused while they are created."""
    pause_group(group.name, reason="being filled")
    run = Run(group, due_one_shots(group.name, executions))
    due = clock.now()
    with held_snapshot() if hold_snapshot else nullcontext():
        resume_group(group.name)
        return drained(run, wait_until_drained(run, due, *nodes))
