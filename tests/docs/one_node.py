"""A node in one thread: it claims, runs and finishes what is due, at whatever instant the test says it is."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from django.db import connection

from tests import factories
from timers import clock
from timers.handlers import Handler
from timers.lifecycle.claim import claim_ready
from timers.lifecycle.due import ServedGroups
from timers.lifecycle.execution import Execution, Holder
from timers.lifecycle.finish import finish
from timers.lifecycle.fire import fire_due
from timers.lifecycle.outcome import Outcome
from timers.schedules.instant import to_microseconds
from timers.worker.attempts import find_handler, fire_of, impossible, raised, returned


def set_clock(moment: datetime) -> None:
    """From now on the database's clock shows this instant, in this session."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('timers.virtual_now', %s, false)", [moment.isoformat()])


class OneNode:
    """Does by hand what a worker does in loops."""

    def __init__(self) -> None:
        row = factories.node()
        self._holder = Holder(row.id, row.name, 1, row.pid)

    def run_due(self) -> list[Outcome]:
        """Run all that is due now, until nothing is; the outcomes in their order."""
        outcomes: list[Outcome] = []
        while claimed := self._claim():
            ended = [self._run(execution) for execution in claimed]
            finish(self._holder, ended, to_microseconds(clock.now()))
            outcomes += ended
        return outcomes

    def _claim(self) -> list[Execution]:
        now_us = to_microseconds(clock.now())
        _, work = ServedGroups("default", ()).with_due_work(now_us, now_us, {})
        when: dict[str, Any] = {"now_us": now_us, "horizon_us": now_us, "limit": 100}
        claimed: list[Execution] = []
        for item in work:
            claimed += claim_ready(self._holder, item.group, **when)
            claimed += fire_due(self._holder, item.group, item.shard, **when).executions
        return claimed

    def _run(self, execution: Execution) -> Outcome:
        now_us = to_microseconds(clock.now())
        handler = find_handler(execution)
        if not isinstance(handler, Handler):
            return impossible(execution, handler, now_us)
        try:
            value = handler.function(fire_of(execution, self._holder.node, now_us))
            if handler.is_async:
                value = asyncio.run(value)
        except Exception as error:  # noqa: BLE001 - as in a worker: whatever it raises is its outcome
            return raised(execution, error, now_us, now_us)
        return returned(execution, value, now_us, now_us)
