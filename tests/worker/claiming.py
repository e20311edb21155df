"""A claimer that tests step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from tests.support.executions import started
from timers import conf
from timers.clock import DatabaseClock
from timers.engine.execution import Execution
from timers.models import TimerGroup
from timers.testing import Stepper
from timers.worker.capacity import Capacity, Slots
from timers.worker.claimer import Claimer
from timers.worker.next_steps import NextSteps
from timers.worker.options import NodeOptions
from timers.worker.run_time_mean import Pace
from timers.worker.sharing import Sharing


class Bench:
    """A claimer that is stepped by the test; what it claims is kept."""

    def __init__(
        self,
        node: Stepper,
        *,
        sure: bool = True,
        threads: int = 8,
        run_seconds: float | None = 0.001,
        unrecorded: Callable[[], int] | None = None,
        idle: Callable[[Slots], int] = lambda _: 0,
    ) -> None:
        """`run_seconds`: the known run time of all groups that exist by now; None: it is unknown."""
        self.held: list[Execution] = []
        self.revoked: list[set[str]] = []
        self.pace = Pace()
        self.started = started(sure=sure)
        if run_seconds is not None:
            self.pace.learn(dict.fromkeys(TimerGroup.objects.values_list("id", flat=True), run_seconds))
        options = NodeOptions("node-a", threads=threads)
        capacity = Capacity(threads, options.concurrency, self.pace, idle=idle)
        self.next_steps = NextSteps(options, capacity.idle_slots, self.started)
        self.claimer = Claimer(
            node.holder, options, conf.load({}), DatabaseClock(node.time.now), self.started, capacity,
            Sharing(node.holder, options.partition, self.pace, capacity),
            self,  # type: ignore[arg-type]
            self.revoked.append,
            unrecorded=unrecorded,
            next_steps=self.next_steps,
        )  # fmt: skip

    def add(self, executions: Sequence[Execution]) -> None:
        """In the place of the agenda."""
        self.held += executions

    def step(self) -> Counter[str]:
        """One pass; what came, by group."""
        before = len(self.held)
        self.claimer.step()
        return Counter(execution.group.name for execution in self.held[before:])

    def record_all(self) -> None:
        self.claimer.no_longer_held(self.held)
        self.held = []
