"""http: calls of a slow target per second on one node, with a given number in progress at once."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import F

from timerproject.bench.figures import Run, drained, wait_until_drained
from timerproject.bench.ground import Ground, due_one_shots
from timerproject.bench.node_process import NodeProcess
from timerproject.bench.slow_target import ADDRESS, SlowTarget
from timers import clock
from timers.models import TimerGroup
from timers.scheduling import pause_group, resume_group

RULES: Final = {
    "TIMERS_HTTP_ALLOW_PRIVATE": ADDRESS,
    "TIMERS_HTTP_ALLOW_PLAIN": "true",
    "TIMERS_HTTP_PORTS": "any",
    "TIMERS_HTTP_PROXY": "",
}
"""Settings that let the measured node call this host, whatever the installation's own rules."""


def measure(*, executions: int, workers: int, in_flight: int, answer_seconds: float) -> dict[str, Any]:
    """Drain due one-shots that call a target which responds after `answer_seconds`, `in_flight` of them at once."""
    settings = {**RULES, "TIMERS_HTTP_PER_TARGET": str(in_flight)}
    with Ground() as ground, SlowTarget(answer_seconds) as target:
        group = ground.group("http")
        pause_group(group.name, reason="being filled")
        run = Run(group, due_one_shots(group.name, executions))
        # Bypasses control, whose guard knows only the rules of this process.
        action = {"kind": "http", "method": "POST", "url": target.url}
        TimerGroup.objects.filter(id=group.id).update(action=action, version=F("version") + 1)
        with NodeProcess(ground, workers=workers, concurrency=in_flight, settings=settings) as node:
            due, before = clock.now(), node.cpu_seconds
            resume_group(group.name)
            found = drained(run, wait_until_drained(run, due, node))
            cpu = node.cpu_seconds - before
            memory = node.resident_mb
    most = workers * in_flight / answer_seconds
    return {
        **found,
        "of_possible": round(found["per_second"] / most, 3),
        "most_in_flight": target.most,
        "cpu_ms_each": round(1000 * cpu / executions, 3),
        "node_mb": memory,
    }
