"""Orders and what they belong to: timers, executions and groups that are cancelled, replaced, dismissed or deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.lifecycle.orders.conftest import END, action
from tests.support.handlers import TemporaryHandlers
from timers.exceptions import NotAllowedNow
from timers.executions import cancel_execution, dismiss_failed, retry_failed
from timers.insights.doctor.vanished import fired_without_a_trace
from timers.lifecycle.control.chains.define import create_chain
from timers.lifecycle.control.chains.orders import suspend_order
from timers.models import Attempt, ChainOrder, Claim, Timer, Waiting
from timers.scheduling import cancel_timer, delete_group, schedule_fixed_rate, update_timer
from timers.testing import Stepper

Begin = Callable[..., str]
WAITS: dict[str, Any] = {
    "paid": {"kind": "signal", "next": "a"},
    "a": action("end"),
    "clean": action("end", "tests.clean"),
}


def outcome_of(order: str) -> str | None:
    return Attempt.objects.filter(id=order).values_list("outcome", flat=True).first()


@pytest.fixture
def waiting(begin: Begin, handlers: TemporaryHandlers) -> str:
    """An order that waits for a signal, and has a finally step."""
    handlers.add("tests.clean")
    return begin(WAITS, **{"finally": "clean"})


def test_cancelled_timer_cancels_its_orders_wherever_they_are(waiting: str, node: Stepper) -> None:
    cancel_timer("work", "order", reason="wrong customer")
    assert outcome_of(waiting) is None
    node.until_idle()
    assert (outcome_of(waiting), Waiting.objects.count(), Claim.objects.count()) == ("cancelled", 0, 0)
    assert Attempt.objects.get(step="clean").outcome == "advanced"


def test_cancelled_execution_is_a_cancelled_order(waiting: str, node: Stepper) -> None:
    assert cancel_execution(waiting).in_flight
    node.until_idle()
    assert outcome_of(waiting) == "cancelled"
    with pytest.raises(NotAllowedNow):
        cancel_execution(waiting)


def test_edit_of_the_timer_does_not_undo_the_step_of_an_order(begin: Begin, node: Stepper) -> None:
    order = begin({"a": action("end")})
    node.claim()
    update_timer("work", "order", payload={"other": 1})
    node.until_idle()
    assert outcome_of(order) == "succeeded"


def test_failed_order_is_retried_by_its_execution_and_dismissed(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.a", OSError("one"), OSError("two"))
    order = begin({"a": action("b", "tests.a"), "b": action("end")})
    node.until_idle()
    retry_failed(order)
    node.until_idle()
    assert ChainOrder.objects.get().state == "failed"
    assert len(handlers.calls) == 2
    dismiss_failed([order])
    row = ChainOrder.objects.get()
    assert (row.state, row.outcome, outcome_of(order)) == ("ended", "failed", "failed")


def test_next_fire_replaces_an_order_that_rests(node: Stepper, group: Any, handlers: TemporaryHandlers) -> None:
    create_chain("work", "main", {"start": "paid", "steps": {"paid": {"kind": "signal", "next": "end"}, "end": END}})
    to_chain = {"kind": "chain", "chain": "main"}
    schedule_fixed_rate("work", "rate", period=10, action=to_chain, overrides={"overlap_policy": "replace"})
    node.advance(25)
    states = ChainOrder.objects.order_by("id").values_list("outcome", flat=True)
    assert list(states) == ["cancelled", None]
    node.advance(10)
    assert list(ChainOrder.objects.order_by("id").values_list("outcome", flat=True)) == ["cancelled", "cancelled", None]


def test_timer_waits_for_its_order_under_skip(node: Stepper, group: Any, handlers: TemporaryHandlers) -> None:
    create_chain(
        "work",
        "main",
        {"start": "rest", "steps": {"rest": {"kind": "wait", "duration": 25, "next": "end"}, "end": END}},
    )
    schedule_fixed_rate(
        "work", "rate", period=10, action={"kind": "chain", "chain": "main"}, overrides={"overlap_policy": "skip"}
    )
    node.advance(70)
    words = Attempt.objects.order_by("scheduled_for").values_list("outcome", flat=True)
    assert list(words) == ["succeeded", "skipped", "skipped", "succeeded", "skipped", "skipped"]
    assert Timer.objects.get().open_execution is not None


def test_doctor_knows_where_resting_orders_are(waiting: str, node: Stepper) -> None:
    suspend_order(waiting)
    assert fired_without_a_trace(node.time.now) == []


def test_deleted_group_ends_its_orders(waiting: str) -> None:
    delete_group("work", force=True)
    assert (outcome_of(waiting), ChainOrder.objects.count()) == ("cancelled", 0)
