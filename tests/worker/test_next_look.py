"""Looks for idle slots go on while there is something due for them, and end with it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.worker.claiming import Bench
from timers import conf
from timers.models import Timer, TimerGroup
from timers.scheduling import schedule_many
from timers.testing import Stepper, VirtualTime
from timers.worker.next_look import IDLE_SECONDS, NextLook


def test_a_pass_that_does_not_look_for_idle_slots_keeps_the_next_look_for_them() -> None:
    look = NextLook(conf.load({}))
    assert look.begin_idle()
    look.has_idle = True
    assert not look.begin_idle()
    assert look.has_idle
    assert look.seconds(0) <= IDLE_SECONDS
    look._idle_from = 0
    assert look.begin_idle()
    assert not look.has_idle, "this pass finds out again"


def test_looks_for_idle_slots_end_when_nothing_is_due(
    node: Stepper, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    for name in ("quick", "slow"):
        factories.group(name)
    soon, ago = time.now + timedelta(seconds=1), time.now - timedelta(seconds=10)
    schedule_many([{"kind": "once", "group": "quick", "name": f"{n}", "at": soon} for n in range(200)])
    bench = Bench(node, run_seconds=0.25, idle=lambda _: 3)
    bench.step()
    bench.pace.measured(TimerGroup.objects.get(name="slow").id, 60.0, 8)
    schedule_many([{"kind": "once", "group": "slow", "name": f"{n}", "at": ago} for n in range(20)])
    bench.claimer._next_look._idle_from = 0
    assert bench.step() == {"slow": 3}
    assert bench.claimer._next_look.has_idle
    Timer.objects.filter(state="active").delete()
    assert bench.claimer.step() == pytest.approx(1, abs=0.9)
    assert not bench.claimer._next_look.has_idle
