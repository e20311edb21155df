"""Orders and what they belong to: timers, executions and groups that are cancelled, replaced, dismissed or deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.engine.orders.conftest import END, action
from tests.support.handlers import TemporaryHandlers
from tests.support.sessions import OtherSession
from timers.control.chains.define import create_chain
from timers.control.chains.orders import resume_order, signal_order, suspend_order
from timers.control.executions import cancel_waiting
from timers.engine.advance import lock_timers
from timers.engine.orders.rows import lock_roots
from timers.exceptions import InvalidRequest, NotAllowedNow
from timers.executions import cancel_execution, dismiss_failed, retry_failed
from timers.insights.doctor.vanished import fired_without_a_trace
from timers.models import Attempt, ChainLock, ChainOrder, Claim, Timer, TimerGroup, Waiting
from timers.scheduling import cancel_timer, delete_group, schedule_fixed_rate, schedule_once, update_group, update_timer
from timers.testing import Stepper, VirtualTime

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


def test_failed_order_is_retried_with_other_variables(begin: Begin, node: Stepper, handlers: TemporaryHandlers) -> None:
    handlers.script("tests.a", OSError("one"), {})
    order = begin({"a": action("end", "tests.a")}, {"x": 1, "y": 1})
    node.until_idle()
    with pytest.raises(InvalidRequest, match="payload"):
        retry_failed(order, payload=[3])
    retry_failed(order, payload={"x": 2})
    node.until_idle()
    assert (handlers.calls[-1].payload, outcome_of(order)) == ({"x": 2, "y": 1}, "succeeded")


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


def test_finished_timer_is_kept_while_its_order_rests(begin: Begin, node: Stepper) -> None:
    update_group("work", on_finish="delete")
    order = begin({"paid": {"kind": "signal", "next": "a"}, "a": action("end")})
    suspend_order(order)
    resume_order(order)
    assert Timer.objects.exists()
    signal_order(order, "paid")
    node.until_idle()
    assert outcome_of(order) == "succeeded"
    assert not Timer.objects.exists()


@pytest.mark.parametrize("begun", [False, True])
def test_finally_step_that_is_claimed_runs_although_the_timer_is_cancelled(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers, begun: bool
) -> None:
    handlers.script("tests.clean", OSError("once"), {})
    retried = {"max_retries": 1, "min_backoff": 1, "max_backoff": 1}
    order = begin(
        {"a": action("end"), "clean": action("end", "tests.clean", on_error="retry", retry=retried)},
        **{"finally": "clean"},
    )
    node.step()
    assert [execution.step for execution in node.claim()] == ["clean"]
    if begun:
        node.run()
    cancel_timer("work", "order")
    node.finish()
    node.advance(5)
    assert Attempt.objects.filter(step="clean", outcome="advanced").count() == 1
    assert outcome_of(order) == "succeeded"


@pytest.mark.usefixtures("committed")
def test_orders_of_several_timers_are_locked_after_all_their_timers(
    group: TimerGroup, node: Stepper, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    paid = {"start": "paid", "steps": {"paid": {"kind": "signal", "next": "end"}, "end": END}}
    create_chain("work", "main", paid)
    for name in ("one", "two"):
        schedule_once("work", name, after=0, action={"kind": "chain", "chain": "main"})
    node.step()
    orders = [str(row) for row in ChainOrder.objects.order_by("id").values_list("id", flat=True)]
    later = ChainOrder.objects.get(id=orders[1]).timer_id
    with OtherSession(time.now) as session, OtherSession(time.now) as person:
        session.begin()
        session.run(lambda: lock_timers([later]))
        cancelled = person.start(lambda: cancel_waiting(orders))
        person.waits_for_a_lock()
        # It has no order yet: who has the timer may ask for any.
        assert set(session.run(lambda: lock_roots(orders, skip_locked=True))) == set(orders)
        session.commit()
        assert cancelled.result(timeout=20) == 2


def test_dismissed_branch_whose_lock_was_deleted_lets_its_parent_go_on(
    group: TimerGroup, begin: Begin, node: Stepper, handlers: TemporaryHandlers
) -> None:
    ChainLock.objects.create(group=group, name="door", capacity=1)
    order = begin(
        {
            "fork": {"kind": "fork", "branches": {"left": "l", "right": "r"}, "join": "join"},
            "l": action("join"),
            "r": action("join", locks=["door"]),
            "join": {"kind": "join", "on_branch_failure": "ignore", "next": "end"},
        },
        locks={"door": "shared"},
    )
    ChainLock.objects.all().delete()
    node.until_idle()
    parked = Waiting.objects.get(state="failed")
    assert dismiss_failed([str(parked.id)]) == 1
    node.until_idle()
    assert outcome_of(order) == "succeeded"
    assert not Waiting.objects.exists()


def test_failed_order_that_was_just_retried_is_cancelled_with_its_timer(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.a", OSError("one"), {})
    order = begin({"a": action("end", "tests.a")})
    node.until_idle()
    retry_failed(order)
    cancel_timer("work", "order")
    assert outcome_of(order) == "cancelled"
    node.until_idle()
    assert len(handlers.calls) == 1


def test_failed_order_stays_for_a_person_when_its_timer_is_cancelled(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.a", OSError("one"))
    order = begin({"a": action("end", "tests.a")})
    node.until_idle()
    with pytest.raises(NotAllowedNow):
        cancel_timer("work", "order")
    assert (outcome_of(order), Waiting.objects.get().state) == (None, "failed")
