"""The claimer of a node that gets and loses the lead of its partition."""

from __future__ import annotations

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.worker.claiming import Bench
from timers.models import Leadership
from timers.scheduling import schedule_once
from timers.testing import Stepper, VirtualTime


def test_a_lost_lead_is_told_once(node: Stepper, time: VirtualTime, handlers: TemporaryHandlers) -> None:
    group = factories.group("single", placement="lead")
    for name in ("a", "b"):
        schedule_once("single", name, at=time.now)
    factories.leadership(node.node)
    bench = Bench(node)
    bench.step()
    assert [execution.name for execution in bench.held] == ["a", "b"]
    assert bench.claimer.is_led(bench.held[0].group)
    assert not bench.claimer.take_lost_lead()

    Leadership.objects.update(node=None, epoch=2)
    schedule_once("single", "c", at=time.now)
    bench.step()

    assert len(bench.held) == 2
    assert bench.claimer.take_lost_lead()
    assert not bench.claimer.take_lost_lead()
    assert group.timers.get(name="c").state == "active"
