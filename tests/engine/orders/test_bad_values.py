"""Values that do not fit: each fails its step with the place, and no order is lost by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.engine.orders.conftest import END, action
from tests.engine.orders.test_branches import FORK, MAP, sides
from tests.support.handlers import TemporaryHandlers
from timers.control.chains.define import create_chain, delete_chain
from timers.control.chains.orders import resume_order
from timers.engine.orders.definitions import definition_of
from timers.exceptions import InvalidRequest
from timers.models import Attempt, ChainOrder, ChainVersion, Claim, TimerGroup, Waiting
from timers.scheduling import schedule_once
from timers.testing import Stepper

Begin = Callable[..., str]
BIG = "x" * 8_000


def parked(order: str) -> str:
    """The reason of an order that has failed and waits for a person."""
    row = ChainOrder.objects.get(id=order)
    assert (row.state, row.outcome) == ("failed", None)
    assert Waiting.objects.get(id=order).state == "failed"
    assert not Claim.objects.exists()
    return row.reason


def test_variables_over_64_kb_fail_the_step_that_sets_them(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers
) -> None:
    for number in range(9):
        handlers.add(f"tests.s{number}", lambda _, number=number: {f"big{number}": BIG})
    steps = {
        f"s{number}": action("end" if number == 8 else f"s{number + 1}", f"tests.s{number}", results=[f"big{number}"])
        for number in range(9)
    }
    order = begin(steps)
    node.until_idle()
    assert parked(order).startswith("s8 failed: variables: may be at most 65,536 bytes of JSON; ")
    assert len(ChainOrder.objects.get().variables) == 8
    resume_order(order, variables={"big0": ""})
    node.until_idle()
    assert Attempt.objects.get(id=order).outcome == "succeeded"


def test_results_of_branches_over_64_kb_fail_the_join(begin: Begin, node: Stepper, handlers: TemporaryHandlers) -> None:
    sides(handlers, l={"side": BIG}, r={"side": BIG}, m={"side": BIG})
    order = begin(FORK, {"given": ["x" * 45_000]})
    node.until_idle()
    assert parked(order).startswith("join failed: variables: may be at most 65,536 bytes of JSON; ")
    assert set(ChainOrder.objects.exclude(parent=None).values_list("outcome", flat=True)) == {"succeeded"}
    handlers.calls.clear()
    resume_order(order, variables={"given": []})
    node.until_idle()
    assert len(handlers.calls) == 1, "branches that had succeeded are not run again"
    assert Attempt.objects.get(id=order).outcome == "succeeded"


def test_results_of_a_map_over_64_kb_fail_the_join(begin: Begin, node: Stepper, handlers: TemporaryHandlers) -> None:
    handlers.add("tests.each", lambda _: {"square": BIG})
    handlers.add("tests.after")
    order = begin(MAP, {"items": list(range(9))})
    node.until_idle()
    assert parked(order).startswith("join failed: variables: may be at most 65,536 bytes of JSON; ")


def test_variables_of_chain_and_order_over_64_kb_fail_the_start(group: TimerGroup, node: Stepper) -> None:
    definition = {"start": "a", "steps": {"a": action("end"), "end": END}, "variables": {"one": "x" * 40_000}}
    create_chain("work", "main", definition)
    chain = {"kind": "chain", "chain": "main"}
    schedule_once("work", "big", after=0, payload={"two": "y" * 40_000}, action=chain)
    schedule_once("work", "small", after=0, payload={"one": "z"}, action=chain)
    node.until_idle()
    assert Attempt.objects.get(name="small", outcome="succeeded")
    waiting = Waiting.objects.get()
    assert (waiting.name, waiting.state) == ("big", "failed")
    assert waiting.error_title.startswith("variables: may be at most 65,536 bytes of JSON; ")
    assert not Claim.objects.exists()


def test_payload_that_is_no_object_begins_no_order(group: TimerGroup, node: Stepper) -> None:
    create_chain("work", "main", {"start": "a", "steps": {"a": action("end"), "end": END}})
    schedule_once("work", "list", after=0, payload=[1], action={"kind": "chain", "chain": "main"})
    node.until_idle()
    assert Waiting.objects.get().error_title == "payload: is a list, not an object. It is the variables of the order."
    assert not ChainOrder.objects.exists()


def test_definition_that_cannot_be_read_fails_the_start_alone(group: TimerGroup, node: Stepper) -> None:
    create_chain("work", "main", {"start": "a", "steps": {"a": action("end"), "end": END}})
    ChainVersion.objects.update(definition={"steps": 3})
    definition_of.cache_clear()
    schedule_once("work", "spoilt", after=0, action={"kind": "chain", "chain": "main"})
    schedule_once("work", "plain", after=0)
    node.until_idle()
    assert Attempt.objects.get(name="plain").outcome == "succeeded"
    assert Waiting.objects.get().state == "failed"
    assert not Claim.objects.exists()


def test_variables_of_a_sub_chain_over_64_kb_fail_its_step(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers
) -> None:
    inner = {"start": "i", "steps": {"i": action("end"), "end": END}, "variables": {"one": "x" * 40_000}}
    create_chain("work", "inner", inner)
    order = begin({"sub": {"kind": "chain", "chain": "inner", "next": "end"}}, {"two": "y" * 40_000})
    node.until_idle()
    assert parked(order).startswith("sub failed: sub-chain inner failed: variables: may be at most 65,536 bytes of")
    resume_order(order, variables={"two": ""})
    node.until_idle()
    assert Attempt.objects.get(id=order).outcome == "succeeded"


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (None, "a failed: results.total: the result is null, not an object. Return an object."),
        ("text", "a failed: results.total: the result is text, not an object. Return an object."),
        ([1], 'a failed: results.total: the result has no value at "/total". Return one, '),
        (
            {"other": 1},
            'a failed: results.total: the result has no value at "/total". Return one, or change "results".',
        ),
        ({"total": "x" * 9_000}, "a failed: the result was not kept: is longer than 8,192 bytes"),
        ({"total": object()}, "a failed: the result was not kept: result.total is a object, not JSON"),
    ],
)
def test_result_without_the_keys_that_are_wanted_fails_the_step(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers, result: Any, words: str
) -> None:
    handlers.script("tests.a", result, {"total": 1})
    order = begin({"a": action("b", "tests.a", results=["total"]), "b": action("end")})
    node.until_idle()
    assert parked(order).startswith(words)
    resume_order(order)
    node.until_idle()
    assert Attempt.objects.get(id=order).outcome == "succeeded"


def test_result_without_the_keys_follows_the_error_policy_of_the_step(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.a", "text", {"total": 1})
    order = begin({"a": action("end", "tests.a", results=["total"], retry=[5])})
    node.until_idle()
    assert ChainOrder.objects.get().state == "waiting"
    node.advance(5)
    assert Attempt.objects.get(id=order).outcome == "succeeded"


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, "map failed: over: items is missing, not a list. Set it, and resume the order."),
        ({"items": None}, "map failed: over: items is missing, not a list. Set it, and resume the order."),
        ({"items": {"a": 1}}, "map failed: over: items is an object, not a list. Set it, and resume the order."),
        ({"items": "abc"}, "map failed: over: items is text, not a list. Set it, and resume the order."),
        ({"items": 5}, "map failed: over: items is a number, not a list. Set it, and resume the order."),
        ({"items": [0] * 10_001}, "map failed: over: items has 10,001 elements; 10,000 are allowed"),
    ],
)
def test_map_over_no_list_fails_its_step(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers, variables: dict[str, Any], words: str
) -> None:
    handlers.add("tests.each", lambda _: {"square": 1})
    handlers.add("tests.after")
    order = begin(MAP, variables)
    node.until_idle()
    assert parked(order) == words
    resume_order(order, variables={"items": [1]})
    node.until_idle()
    assert Attempt.objects.get(id=order).outcome == "succeeded"


def test_large_element_leaves_a_branch_no_room_for_a_result(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.add("tests.each", lambda _: {"square": 1})
    handlers.add("tests.after")
    order = begin(MAP, {"items": ["x" * 40_000]})
    node.until_idle()
    assert parked(order).startswith("join failed: 1 of 1 branches did not succeed")
    (branch,) = ChainOrder.objects.exclude(parent=None)
    assert branch.reason.startswith("each failed: variables: may be at most 65,536 bytes of JSON; ")


def test_variables_over_64_kb_are_refused_of_a_person(begin: Begin, node: Stepper, handlers: TemporaryHandlers) -> None:
    handlers.script("tests.a", OSError("broken"), None)
    order = begin({"a": action("end", "tests.a")}, {"given": "x" * 40_000})
    node.until_idle()
    with pytest.raises(InvalidRequest, match="variables: may be at most 65,536 bytes"):
        resume_order(order, variables={"more": "y" * 40_000})
    with pytest.raises(InvalidRequest, match="variables"):
        resume_order(order, variables={"more": object()})
    assert parked(order) == "a failed: OSError: broken"


def test_sub_chain_that_was_missing_begins_when_the_order_is_resumed(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.add("tests.inner")
    inner = {"start": "i", "steps": {"i": action("end", "tests.inner"), "end": END}}
    create_chain("work", "inner", inner)
    order = begin({"a": action("sub"), "sub": {"kind": "chain", "chain": "inner", "next": "end"}})
    delete_chain("work", "inner")
    node.until_idle()
    assert parked(order) == 'sub failed: sub-chain inner failed: the group has no chain "inner"'
    create_chain("work", "inner", inner)
    resume_order(order)
    node.until_idle()
    steps = Attempt.objects.filter(outcome="advanced").order_by("finished_at", "id").values_list("step", flat=True)
    assert (sorted(filter(None, steps)), Attempt.objects.get(id=order).outcome) == (["a", "i"], "succeeded")
