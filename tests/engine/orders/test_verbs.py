"""What people do to steps, chains and orders takes effect at the next claim, and all goes on from where it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.engine.orders.conftest import END, action
from tests.engine.orders.test_branches import FORK, sides
from tests.support.handlers import TemporaryHandlers
from timers.control.chains.define import update_chain
from timers.control.chains.orders import (
    approve_order,
    cancel_order,
    move_order,
    refuse_order,
    reset_order,
    resume_order,
    signal_order,
    skip_step_of,
    suspend_order,
)
from timers.control.chains.steps import activate_step, skip_step, start_chain, stop_chain, stop_step
from timers.exceptions import InvalidRequest, NotAllowedNow
from timers.models import Attempt, ChainOrder, ChainStep, Claim, Timer, Waiting
from timers.testing import Stepper

Begin = Callable[..., str]


@pytest.fixture
def three(begin: Begin, handlers: TemporaryHandlers) -> str:
    """An order of three steps that stands before the first."""
    for name in "abc":
        handlers.add(f"tests.{name}", lambda _, name=name: {"last": name})
    return begin({"a": action("b", "tests.a"), "b": action("c", "tests.b"), "c": action("end", "tests.c")})


def ran() -> list[str]:
    rows = Attempt.objects.filter(outcome="advanced").order_by("attempt")
    return list(rows.values_list("step", flat=True))


def place(order: str) -> tuple[str, str]:
    row = ChainOrder.objects.get(id=order)
    return row.step, row.state


def test_stopped_step_holds_orders_until_it_is_activated(three: str, node: Stepper) -> None:
    stop_step("work", "main", "b", reason="repairs")
    node.until_idle()
    assert place(three) == ("b", "at_stopped")
    assert not Waiting.objects.exists()
    assert not Claim.objects.exists()
    activate_step("work", "main", "b")
    node.until_idle()
    assert (ran(), place(three)) == (["a", "b", "c"], ("end", "ended"))


def test_skipped_step_is_passed_at_once(three: str, node: Stepper) -> None:
    skip_step("work", "main", "b")
    skip_step("work", "main", "a")
    node.until_idle()
    assert ran() == ["c"]


def test_stopped_chain_holds_all_its_orders(three: str, node: Stepper) -> None:
    stop_chain("work", "main")
    node.until_idle()
    assert place(three) == ("a", "at_stopped")
    start_chain("work", "main")
    node.until_idle()
    assert ran() == ["a", "b", "c"]


def test_suspended_order_stands_alone_and_resumes_with_other_variables(
    three: str, node: Stepper, handlers: TemporaryHandlers
) -> None:
    suspend_order(three, reason="wait for the customer")
    node.until_idle()
    assert (ran(), place(three)) == ([], ("a", "suspended"))
    assert not Waiting.objects.exists()
    resume_order(three, variables={"colour": "red"})
    node.until_idle()
    assert handlers.calls[-1].payload["colour"] == "red"


def test_order_that_runs_a_step_is_suspended_before_the_next(three: str, node: Stepper) -> None:
    node.claim()
    suspend_order(three)
    node.run()
    node.finish()
    node.until_idle()
    assert (ran(), place(three)) == (["a"], ("b", "suspended"))


@pytest.mark.parametrize("verb", [lambda order: resume_order(order, at="c"), lambda order: move_order(order, "c")])
def test_order_goes_on_at_another_step(three: str, node: Stepper, verb: Callable[[str], Any]) -> None:
    suspend_order(three)
    verb(three)
    node.until_idle()
    assert ran() == ["c"]


def test_skip_and_reset_of_one_order(three: str, node: Stepper) -> None:
    skip_step_of(three)
    assert place(three) == ("b", "ready")
    reset_order(three)
    assert place(three) == ("a", "ready")
    assert Waiting.objects.count() == 1


def test_unknown_step_is_refused_with_the_nearest(three: str) -> None:
    suspend_order(three)
    with pytest.raises(InvalidRequest, match="not a step"):
        resume_order(three, at="d")
    with pytest.raises(InvalidRequest, match="no step"):
        stop_step("work", "main", "d")


@pytest.mark.parametrize("verb", [stop_step, skip_step])
@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("join", 'step: "join" is a join.*Instead (stop|skip) "fork".*or the step behind it, "after"'),
        ("end", r'step: "end" is an end.*Instead (stop|skip) a step that leads to it \(after\)'),
    ],
)
def test_joins_and_ends_are_neither_stopped_nor_skipped(
    begin: Begin, handlers: TemporaryHandlers, verb: Callable[..., Any], step: str, words: str
) -> None:
    sides(handlers)
    begin(FORK)
    with pytest.raises(InvalidRequest, match=words):
        verb("work", "main", step)
    assert not ChainStep.objects.exists()
    activate_step("work", "main", step)


def test_step_that_newer_versions_lack_can_be_activated(three: str, node: Stepper) -> None:
    stop_step("work", "main", "b")
    node.until_idle()
    update_chain("work", "main", {"start": "a", "steps": {"a": action("end", "tests.a"), "end": END}})
    with pytest.raises(InvalidRequest, match="no step"):
        skip_step("work", "main", "b")
    activate_step("work", "main", "b")
    node.until_idle()
    assert (ran(), place(three)) == (["a", "b", "c"], ("end", "ended"))


def test_cancelled_order_ends_after_its_finally_steps(begin: Begin, node: Stepper, handlers: TemporaryHandlers) -> None:
    handlers.add("tests.a")
    handlers.add("tests.clean")
    steps = {"a": action("end", "tests.a"), "clean": action("end", "tests.clean")}
    order = begin(steps, **{"finally": "clean"})
    cancel_order(order, reason="no longer wanted")
    node.until_idle()
    assert ran() == ["clean"]
    row = Attempt.objects.get(id=order)
    assert (row.outcome, row.reason) == ("cancelled", "no longer wanted")
    assert Timer.objects.get().last_outcome in ("", "cancelled")


def test_cancel_of_a_running_step_revokes_it(three: str, node: Stepper) -> None:
    node.claim()
    cancel_order(three)
    assert place(three) == ("a", "ended")
    assert Claim.objects.get().revoked is not None
    node.until_idle()
    assert not Claim.objects.exists()
    assert Attempt.objects.get(id=three).outcome == "cancelled"


def test_failed_order_is_redriven_from_the_step_that_failed(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers
) -> None:
    steps = {
        f"s{number}": action(f"s{number + 1}" if number < 7 else "end", f"tests.s{number}") for number in range(1, 8)
    }
    for name in steps:
        handlers.add(f"tests.{name}")
    handlers.script("tests.s5", OSError("disk full"), None)
    order = begin(steps)
    node.until_idle()
    assert place(order) == ("s5", "failed")
    resume_order(order)
    node.until_idle()
    assert ran() == ["s1", "s2", "s3", "s4", "s5", "s6", "s7"]
    assert len(handlers.calls) == 8
    assert Attempt.objects.get(id=order).outcome == "succeeded"


APPROVAL = {
    "ask": {"kind": "approval", "text": "Import?", "next": "a", "refused": "b", "deadline": 60, "default": "approve"},
    "a": action("end", "tests.a"),
    "b": action("end", "tests.b"),
}


@pytest.mark.parametrize("answer", ["approve", "refuse", "deadline"])
def test_order_waits_for_a_person_or_its_deadline(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers, answer: str
) -> None:
    handlers.add("tests.a")
    handlers.add("tests.b")
    order = begin(APPROVAL)
    node.advance(59)
    assert (ran(), place(order)) == ([], ("ask", "awaiting"))
    if answer == "approve":
        approve_order(order, actor="ann")
    elif answer == "refuse":
        refuse_order(order, reason="too dear")
    node.advance(2)
    assert ran() == (["b"] if answer == "refuse" else ["a"])
    assert not Waiting.objects.exists()
    with pytest.raises(NotAllowedNow):
        approve_order(order)


def test_order_waits_for_a_signal_and_takes_variables_from_it(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.add("tests.a")
    order = begin({"paid": {"kind": "signal", "next": "a", "results": ["sum"]}, "a": action("end", "tests.a")})
    node.until_idle()
    signal_order(order, "paid", {"sum": 12})
    node.until_idle()
    assert handlers.calls[-1].payload == {"sum": 12}


def test_order_waits_for_a_duration(begin: Begin, node: Stepper, handlers: TemporaryHandlers) -> None:
    handlers.add("tests.a")
    begin({"rest": {"kind": "wait", "duration": 30, "next": "a"}, "a": action("end", "tests.a")})
    node.advance(29)
    assert ran() == []
    node.advance(1)
    assert ran() == ["a"]


def test_deadline_of_the_chain_fails_the_order(begin: Begin, node: Stepper) -> None:
    order = begin({"paid": {"kind": "signal", "next": "end"}}, deadline=20)
    node.advance(30)
    assert place(order) == ("paid", "failed")
    assert "deadline" in Waiting.objects.get().reason
