from __future__ import annotations

from collections import Counter
from datetime import timedelta

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.worker.claiming import Bench
from timers import conf
from timers.engine.clock_step import Noticed, write_step
from timers.scheduling import schedule_many, schedule_once
from timers.testing import Stepper, VirtualTime


def test_after_a_step_back_nothing_is_claimed_by_the_clock_before_it(
    node: Stepper, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    factories.group("work")
    bench = Bench(node)
    time.set(time.now - timedelta(hours=2))
    write_step(Noticed(-7200, time.now, 2.0, "node-b"), conf.load({}))
    schedule_once("work", "in an hour", after=3600)
    schedule_once("work", "soon", after=11)
    assert bench.step() == Counter()
    time.advance(11)
    came = bench.step() + bench.step()
    assert came == Counter({"work": 1})
    assert [execution.name for execution in bench.held] == ["soon"]


def test_after_a_step_back_no_group_rests_by_the_clock_before_it(
    node: Stepper, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    factories.group("work", max_rate="10/s")
    schedule_many([{"kind": "once", "group": "work", "name": f"{n}", "at": time.now} for n in range(100)])
    bench = Bench(node)
    bench.step()
    bench.step()
    time.set(time.now - timedelta(hours=2))
    write_step(Noticed(-7200, time.now, 2.0, "node-b"), conf.load({}))
    schedule_once("work", "soon", after=11)
    bench.step()
    before = len(bench.held)
    for _ in range(4):
        time.advance(60)
        bench.step()
    assert [execution.name for execution in bench.held[before:]] == ["soon"]
