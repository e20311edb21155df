"""Stepper: drives a whole node in the test's own thread, one step at a time, in virtual time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection
from datetime import datetime
from itertools import count

from tests.support.virtual_time import VirtualTime
from timers.handlers import Handler
from timers.lifecycle.claim import claim_ready
from timers.lifecycle.due import ServedGroups
from timers.lifecycle.execution import Execution, Holder
from timers.lifecycle.finish import Finished, finish
from timers.lifecycle.fire import fire_due
from timers.lifecycle.nodes import Registration, register
from timers.lifecycle.outcome import Outcome
from timers.lifecycle.release import release
from timers.lifecycle.rescue import Rescued, rescue_node
from timers.models import Node
from timers.worker.attempts import find_handler, fire_of, impossible, raised, returned

_numbers = count(1)


def registration(name: str, *, partition: str = "default", roles: Collection[str] = (), **said: object) -> Registration:
    """What a node with one worker says when it starts."""
    values: dict[str, object] = {
        "name": name, "host": "machine-1", "pid": os.getpid(), "partition": partition, "roles": list(roles),
        "allow_execution": True, "workers": 1, "slots": 8, "heartbeat_interval": 2.0, "lease": 10.0,
        "version": "0", "handlers": [], "crash_lock": False,
    }  # fmt: skip
    return Registration(**{**values, **said})  # type: ignore[arg-type]


class Stepper:
    """A node whose loops are the test: claim(), run(), finish(), each one pass at the virtual now.

    The lifecycle functions are the real ones, and so is what becomes of a handler's end.
    """

    def __init__(
        self,
        time: VirtualTime,
        name: str = "",
        *,
        partition: str = "default",
        roles: Collection[str] = (),
        look_ahead: float = 0,
    ) -> None:
        self.time = time
        self.look_ahead = look_ahead
        """Seconds."""
        name = name or f"stepper-{next(_numbers)}"
        self.node: Node = register(registration(name, partition=partition, roles=roles))
        self.holder = Holder(self.node.id, name, 1, 4711)
        self.held: list[Execution] = []
        """Claimed and not run yet."""
        self.outcomes: list[Outcome] = []
        """Ended and not recorded yet."""
        self.skipped = 0
        self._groups = ServedGroups(partition, list(roles))

    def claim(self, limit: int = 10_000, leave: Collection[str] = ()) -> list[Execution]:
        """Fire what is due and claim what is ready, in all groups; returns what came."""
        now_us, came = self.time.us, []
        horizon_us = now_us + round(self.look_ahead * 1_000_000)
        _, work = self._groups.with_due_work(now_us, horizon_us, {})
        for item in work:
            if item.waiting:
                came += claim_ready(
                    self.holder, item.group, now_us=now_us, horizon_us=horizon_us, limit=limit, leave=leave
                )
            if item.timers:
                fired = fire_due(
                    self.holder, item.group, item.shard,
                    now_us=now_us, horizon_us=horizon_us, limit=limit, leave=leave,
                )  # fmt: skip
                came += fired.executions
                self.skipped += fired.skipped
        self.held += came
        return came

    def run(self) -> list[Outcome]:
        """Call the handlers of all that is held and due; time passes as far as they move it."""
        due = [execution for execution in self.held if execution.available_us <= self.time.us]
        self.held = [execution for execution in self.held if execution.available_us > self.time.us]
        ended = [self._call(execution) for execution in due]
        self.outcomes += ended
        return ended

    def finish(self) -> Finished:
        """Record what has ended; what was deferred is kept for the next time."""
        finished = finish(self.holder, self.outcomes, self.time.us)
        self.outcomes = finished.deferred
        return finished

    def step(self) -> list[Outcome]:
        """Claim, run and finish once; returns how the tries ended."""
        self.claim()
        ended = self.run()
        self.finish()
        return ended

    def until_idle(self) -> list[Outcome]:
        """Step until nothing is due at the present instant."""
        ended: list[Outcome] = []
        while outcomes := self.step():
            ended += outcomes
        return ended

    def advance(self, seconds: float = 0, *, days: float = 0) -> None:
        """Let virtual time pass."""
        self.time.advance(seconds, days=days)

    def play(self, seconds: float, every: float) -> None:
        """Step again and again while so much time passes, `every` seconds once."""
        end: datetime = self.time.now
        for _ in range(round(seconds / every)):
            self.advance(every)
            self.until_idle()
        assert (self.time.now - end).total_seconds() == round(seconds / every) * every

    def release(self) -> int:
        """Give back what is held and not run, as a drain does."""
        executions, self.held = self.held, []
        return release(self.holder, executions, self.time.us)

    def rescue(self, dead: Stepper) -> Rescued:
        """Take over what another node holds, as after its death."""
        return rescue_node(dead.node.id, self.time.us, f"node {dead.node.name} died")

    def _call(self, execution: Execution) -> Outcome:
        handler = find_handler(execution)
        if not isinstance(handler, Handler):
            return impossible(execution, handler, self.time.us)
        started_us = self.time.us
        try:
            value = handler.function(fire_of(execution, self.holder.node, started_us))
            if handler.is_async:
                value = asyncio.run(value)
        except Exception as error:  # noqa: BLE001 - as in a worker: whatever it raises is its outcome
            return raised(execution, error, started_us, self.time.us)
        return returned(execution, value, started_us, self.time.us)
