"""Orders that go elsewhere while somebody holds them: the end of that claim moves nothing, no place is there twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from tests.engine.orders.conftest import action
from tests.engine.orders.test_branches import join, sides
from tests.engine.orders.test_cancelling import outcome_of
from tests.support.handlers import TemporaryHandlers
from tests.support.sessions import OtherSession
from timers.control.chains.orders import approve_order, cancel_order, resume_order, suspend_order
from timers.engine.fence import lock_claims
from timers.engine.orders.releasing import pass_deadlines
from timers.handlers import Snooze
from timers.models import Attempt, ChainOrder, Claim, Waiting
from timers.testing import Stepper, VirtualTime

Begin = Callable[..., str]
CLEANED: dict[str, Any] = {"a": action("end", "tests.a"), "clean": action("end", "tests.clean")}


def steps() -> list[tuple[str, str]]:
    rows = Attempt.objects.exclude(step=None).order_by("attempt", "id")
    return list(rows.values_list("step", "outcome"))


@pytest.fixture
def cleaned(begin: Begin, node: Stepper, handlers: TemporaryHandlers) -> str:
    """An order that is cancelled while a worker holds its step, and has a finally step."""
    handlers.script("tests.a", OSError("asked to end"))
    handlers.add("tests.clean")
    order = begin(CLEANED, **{"finally": "clean"})
    node.claim()
    cancel_order(order)
    return order


def test_step_that_fails_because_its_order_is_cancelled_does_not_skip_the_finally_steps(
    cleaned: str, node: Stepper
) -> None:
    node.run()
    node.finish()
    node.until_idle()
    assert (steps(), outcome_of(cleaned)) == ([("a", "error"), ("clean", "advanced")], "cancelled")


def test_snooze_of_a_step_that_was_asked_to_end_does_not_end_the_order(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.a", Snooze(60))
    handlers.add("tests.clean")
    order = begin(CLEANED, **{"finally": "clean"})
    node.claim()
    cancel_order(order)
    node.run()
    node.finish()
    assert outcome_of(order) is None
    node.until_idle()
    assert (steps()[-1], outcome_of(order)) == (("clean", "advanced"), "cancelled")


def test_death_of_the_node_after_the_cancel_does_not_skip_the_finally_steps(
    cleaned: str, time: VirtualTime, node: Stepper
) -> None:
    other = Stepper(time, "other")
    other.rescue(node)
    other.until_idle()
    assert (steps(), outcome_of(cleaned)) == ([("a", "lost"), ("clean", "advanced")], "cancelled")


def test_drain_after_the_cancel_does_not_skip_the_finally_steps(cleaned: str, node: Stepper) -> None:
    node.release()
    node.until_idle()
    assert (steps(), outcome_of(cleaned)) == ([("a", "lost"), ("clean", "advanced")], "cancelled")


def test_step_that_fails_after_the_deadline_does_not_cancel_the_order(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.a", OSError("asked to end"))
    order = begin(
        {"a": action("end", "tests.a"), "late": action("end")}, deadline=10, on_deadline={"goto": "late"}
    )  # fmt: skip
    node.claim()
    node.time.advance(11)
    assert pass_deadlines() == 1
    node.run()
    node.finish()
    node.until_idle()
    assert (steps(), outcome_of(order)) == ([("a", "error"), ("late", "advanced")], "succeeded")


@pytest.mark.parametrize("dies", [False, True])
def test_look_that_is_given_back_after_the_answer_gives_no_second_place(
    begin: Begin, node: Stepper, time: VirtualTime, dies: bool
) -> None:
    order = begin({"ok": {"kind": "approval", "next": "a", "deadline": 10}, "a": action("end")})
    time.advance(10)
    assert len(node.claim()) == 1
    approve_order(order)
    assert Waiting.objects.get().step == "a"
    other = Stepper(time, "other")
    if dies:
        other.rescue(node)
    else:
        node.release()
    assert not Claim.objects.exists()
    other.until_idle()
    assert (steps(), outcome_of(order)) == ([("a", "advanced")], "succeeded")


def test_late_end_of_a_look_leaves_the_next_step_to_its_worker(begin: Begin, node: Stepper, time: VirtualTime) -> None:
    order = begin({"ok": {"kind": "approval", "next": "a", "deadline": 10}, "a": action("b"), "b": action("end")})
    time.advance(10)
    node.claim()
    approve_order(order)
    other = Stepper(time, "other")
    assert [execution.step for execution in other.claim()] == ["a"]
    node.run()
    node.finish()
    assert ChainOrder.objects.get().step == "a"
    other.until_idle()
    assert (steps(), outcome_of(order)) == ([("a", "advanced"), ("b", "advanced")], "succeeded")


def test_lost_attempt_keeps_its_number_when_the_order_is_suspended(
    begin: Begin, node: Stepper, time: VirtualTime
) -> None:
    order = begin({"a": action("b"), "b": action("end")})
    node.claim()
    other = Stepper(time, "other")
    other.rescue(node)
    suspend_order(order)
    resume_order(order)
    other.until_idle()
    assert steps() == [("a", "lost"), ("a", "advanced"), ("b", "advanced")]


@pytest.mark.usefixtures("committed")
def test_cancel_waits_for_a_step_that_is_just_being_given_back(begin: Begin, node: Stepper, time: VirtualTime) -> None:
    order = begin({"a": action("end"), "clean": action("end")}, **{"finally": "clean"})
    node.claim()
    with OtherSession(time.now) as session, OtherSession(time.now) as person:
        session.begin()
        assert session.run(node.release) == 1
        cancelled = person.start(lambda: cancel_order(order))
        person.waits_for_a_lock()
        session.commit()
        cancelled.result(timeout=20)
    node.until_idle()
    assert (steps(), outcome_of(order)) == ([("clean", "advanced")], "cancelled")


@pytest.mark.usefixtures("committed")
def test_end_of_a_branch_does_not_wait_for_the_ends_of_others(
    begin: Begin, node: Stepper, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    """Two sessions that each end a branch, and so cancel one that the other holds, would wait for each other."""
    sides(handlers)
    order = begin(join(mode="any"))
    assert len(node.claim(limit=1)) == 1
    other = Stepper(time, "other")
    others = other.claim()
    node.run()
    with OtherSession(time.now) as session:
        session.begin()
        session.run(lambda: lock_claims({execution.fence for execution in others}))
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '5s'")
        assert not node.finish().deferred
        session.commit()
        with connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout")
    other.until_idle()
    assert steps().count(("after", "advanced")) == 1
    assert outcome_of(order) == "succeeded"
