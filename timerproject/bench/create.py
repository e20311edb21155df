"""create: timers per second that one process can create, one by one and in bulk."""

from __future__ import annotations

import time
from typing import Any

from timerproject.bench.ground import PAYLOAD, Ground, far_future
from timers.scheduling import schedule_once


def measure(*, executions: int, seconds: float) -> dict[str, Any]:
    """Create timers a day ahead: one by one for `seconds`, each its own transaction; then `executions` in bulk."""
    with Ground() as ground:
        group = ground.group("create")
        count, began = 0, time.monotonic()
        while (took := time.monotonic() - began) < seconds:
            schedule_once(group.name, f"single-{count}", after=86_400, payload=PAYLOAD)
            count += 1
        single = {"timers": count, "seconds": round(took, 3), "per_second": round(count / took)}
        began = time.monotonic()
        far_future(group.name, executions)
        took = time.monotonic() - began
    bulk = {"timers": executions, "seconds": round(took, 3), "per_second": round(executions / took)}
    return {"one_by_one": single, "bulk": bulk}
