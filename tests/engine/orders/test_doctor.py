"""The doctor knows where orders may be: resting, or elsewhere while a worker runs what they have left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.engine.orders.conftest import END, action
from tests.engine.orders.test_cancelling import outcome_of
from tests.support.handlers import TemporaryHandlers
from timers.control.chains.define import create_chain
from timers.control.chains.orders import cancel_order
from timers.insights.doctor import places
from timers.insights.doctor.vanished import fired_without_a_trace
from timers.models import TimerGroup, Waiting
from timers.scheduling import schedule_fixed_rate
from timers.testing import Stepper

Begin = Callable[..., str]
LOOKS = (
    places.in_two_places,
    places.finished_but_held,
    places.open_in_no_place,
    places.queued_behind_nothing,
    fired_without_a_trace,
)


def findings(node: Stepper) -> list[Any]:
    return [finding for look in LOOKS for finding in look(node.time.now)]


@pytest.mark.parametrize("policy", ["skip", "queue"])
def test_timer_that_waits_for_a_resting_order_is_well(node: Stepper, group: TimerGroup, policy: str) -> None:
    create_chain("work", "main", {"start": "paid", "steps": {"paid": {"kind": "signal", "next": "end"}, "end": END}})
    to_chain = {"kind": "chain", "chain": "main"}
    schedule_fixed_rate("work", "rate", period=10, action=to_chain, overrides={"overlap_policy": policy})
    node.advance(35)
    assert Waiting.objects.filter(state="queued").exists() == (policy == "queue")
    assert findings(node) == []


@pytest.mark.parametrize("cleans", [False, True])
def test_order_that_was_cancelled_while_a_worker_runs_its_step_is_well(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers, cleans: bool
) -> None:
    steps = {"a": action("end"), "clean": action("end")} if cleans else {"a": action("end")}
    order = begin(steps, **({"finally": "clean"} if cleans else {}))
    node.claim()
    cancel_order(order)
    assert outcome_of(order) == (None if cleans else "cancelled")
    assert findings(node) == []
