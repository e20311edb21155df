"""Orders that stand before a step go on when it is stopped no longer; deadlines pass; whatever stands beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from tests.engine.orders.conftest import END, action
from tests.engine.orders.test_cancelling import outcome_of
from tests.support.handlers import TemporaryHandlers
from timers.control.chains.define import create_chain
from timers.control.chains.orders import cancel_order
from timers.control.chains.steps import activate_step, start_chain, stop_chain, stop_step
from timers.control.sandbox import create_sandbox
from timers.engine.orders import releasing
from timers.engine.orders.definitions import definition_of
from timers.engine.orders.releasing import pass_deadlines, release_orders
from timers.models import Attempt, Chain, ChainOrder, ChainStep, ChainVersion, TimerGroup
from timers.scheduling import schedule_once
from timers.testing import Stepper, VirtualTime

Begin = Callable[..., str]
TWO: dict[str, Any] = {"z": action("a"), "a": action("end"), "end": END}


def define(chain: str, group: str = "work", **fields: Any) -> None:
    create_chain(group, chain, {"start": "z", "steps": TWO, **fields})
    schedule_once(group, chain, after=0, action={"kind": "chain", "chain": chain})


def spoil(chain: str) -> None:
    """Make a definition that cannot be read."""
    ChainVersion.objects.filter(chain__name=chain).update(definition={"steps": 3})
    definition_of.cache_clear()


def succeeded() -> list[str]:
    return sorted(Attempt.objects.filter(outcome="succeeded").values_list("name", flat=True))


def test_order_that_cannot_be_read_holds_up_no_other(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(releasing, "BATCH", 1)
    for chain in ("bad", "good"):
        define(chain)
        stop_step("work", chain, "a")
    node.until_idle()
    spoil("bad")
    ChainStep.objects.update(state="active")
    Chain.objects.update(is_releasing=True)
    node.until_idle()
    assert succeeded() == ["good"]
    assert list(Chain.objects.order_by("name").values_list("is_releasing", flat=True)) == [True, False]


def test_deadline_of_an_order_that_cannot_be_read_holds_up_no_other(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(releasing, "BATCH", 1)
    for chain in ("bad", "good"):
        define(chain, deadline=10)
        stop_step("work", chain, "a")
    node.until_idle()
    spoil("bad")
    node.time.advance(11)
    assert (pass_deadlines(), pass_deadlines()) == (1, 0)
    assert list(ChainOrder.objects.order_by("name").values_list("state", flat=True)) == ["at_stopped", "failed"]


def test_chain_that_is_started_lets_go_what_stood_before_each_step(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    define("one")
    stop_step("work", "one", "a")
    node.until_idle()
    stop_chain("work", "one")
    schedule_once("work", "late", after=0, action={"kind": "chain", "chain": "one"})
    node.until_idle()
    assert set(ChainOrder.objects.values_list("step", "state")) == {("a", "at_stopped"), ("z", "at_stopped")}
    start_chain("work", "one")
    node.until_idle()
    assert set(ChainOrder.objects.values_list("step", "state")) == {("a", "at_stopped")}
    activate_step("work", "one", "a")
    node.until_idle()
    assert succeeded() == ["late", "one"]
    assert release_orders() == 0
    assert not Chain.objects.get().is_releasing


def test_order_of_a_sandbox_goes_on_by_the_clock_of_the_sandbox(
    node: Stepper, handlers: TemporaryHandlers, time: VirtualTime
) -> None:
    create_sandbox("past", at="2020-01-01T00:00:00Z")
    define("one", "past", deadline=10)
    node.until_idle()
    assert succeeded() == ["one"]


def test_looks_of_idle_nodes_use_indexes(begin: Begin, node: Stepper) -> None:
    order = begin({"paid": {"kind": "signal", "next": "a"}, "a": action("end")}, deadline=3600)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN SELECT {releasing.has_deadlines('timers_now()')}")
        plan = "\n".join(row for (row,) in cursor.fetchall())
    assert "timers_order_late" in plan
    cancel_order(order)
    assert outcome_of(order) == "cancelled"
