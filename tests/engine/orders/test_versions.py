"""Orders that are resumed with another version of their chain: what is done stays done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.engine.orders.conftest import END, action
from tests.engine.orders.test_branches import FORK, MAP, after, join, nothing_is_left, sides
from tests.support.handlers import TemporaryHandlers
from timers.control.chains.define import create_chain, update_chain
from timers.control.chains.many import for_each_order
from timers.control.chains.orders import resume_order, suspend_order
from timers.exceptions import InvalidRequest, NotAllowedNow
from timers.models import Attempt, AuditEntry, ChainOrder
from timers.testing import Stepper

Begin = Callable[..., str]


def seven(**changes: Any) -> dict[str, Any]:
    """Seven steps, one after the other, and those that are given instead."""
    steps = {
        f"s{number}": action(f"s{number + 1}" if number < 7 else "end", f"tests.s{number}") for number in range(1, 8)
    }
    return {**steps, **changes}


def change(steps: dict[str, Any], name: str = "main", **fields: Any) -> None:
    update_chain("work", name, {"start": next(iter(steps)), "steps": {**steps, "end": END}, **fields})


def ran() -> list[str | None]:
    rows = Attempt.objects.filter(outcome="advanced").order_by("finished_at", "attempt")
    return list(rows.values_list("step", flat=True))


def outcome(order: str) -> str:
    return Attempt.objects.get(id=order).outcome


@pytest.fixture
def failed(begin: Begin, node: Stepper, handlers: TemporaryHandlers) -> str:
    """An order that failed in the fifth of seven steps."""
    for number in range(1, 8):
        handlers.add(f"tests.s{number}")
    handlers.script("tests.s5", OSError("broken for good"))
    handlers.add("tests.mended", lambda _: {"mended": True})
    order = begin(seven())
    node.until_idle()
    assert ChainOrder.objects.get().state == "failed"
    handlers.calls.clear()
    return order


@pytest.mark.parametrize("version", ["newest", 2])
def test_redriven_order_goes_on_from_the_failed_step_of_the_new_version(
    failed: str, node: Stepper, handlers: TemporaryHandlers, version: Any
) -> None:
    change(seven(s5=action("s6", "tests.mended", results=["mended"])))
    resume_order(failed, version=version, actor="ann")
    node.until_idle()
    assert len(handlers.calls) == 3
    assert ran() == ["s1", "s2", "s3", "s4", "s5", "s6", "s7"]
    assert handlers.calls[-1].payload == {"mended": True}
    row = ChainOrder.objects.select_related("version").get()
    assert (row.outcome, row.version.version) == ("succeeded", 2)
    entry = AuditEntry.objects.filter(verb="order.resume").latest("id")
    assert (entry.actor, entry.after["version"]) == ("ann", 2)


def test_redriven_order_keeps_its_version_when_none_is_named(failed: str, node: Stepper) -> None:
    change(seven(s5=action("s6", "tests.mended")))
    resume_order(failed)
    node.until_idle()
    row = ChainOrder.objects.select_related("version").get()
    assert (row.state, row.version.version) == ("failed", 1)


def test_order_can_go_back_to_an_older_version(failed: str, node: Stepper, handlers: TemporaryHandlers) -> None:
    change(seven(s6=action("end", "tests.s6")) | {"s6": action("s7", "tests.s6", delay=5)})
    resume_order(failed, version="newest")
    node.until_idle()
    handlers.script("tests.s5", None)
    resume_order(failed, version=1)
    node.until_idle()
    assert ChainOrder.objects.select_related("version").get().version.version == 1
    assert outcome(failed) == "succeeded"


def test_version_without_the_step_is_refused_and_changes_nothing(failed: str, node: Stepper) -> None:
    steps = seven(s4=action("five", "tests.s4"), five=action("s6", "tests.mended"))
    del steps["s5"]
    change(steps)
    with pytest.raises(InvalidRequest, match=r'version: that version has no step "s5".*Name the step .* with "at"'):
        resume_order(failed, version="newest")
    row = ChainOrder.objects.select_related("version").get()
    assert (row.state, row.step, row.version.version) == ("failed", "s5", 1)
    resume_order(failed, version="newest", at="five")
    node.until_idle()
    assert ran() == ["s1", "s2", "s3", "s4", "five", "s6", "s7"]


def test_version_in_which_the_step_belongs_to_a_branch_is_refused(failed: str) -> None:
    steps = seven(
        s4=action("fork", "tests.s4"), s5=action("both", "tests.s5"),
        fork={"kind": "fork", "branches": {"one": "s5"}, "join": "both"}, both={"kind": "join", "next": "s6"},
    )  # fmt: skip
    change(steps)
    with pytest.raises(InvalidRequest, match='"s5", at which the order stands, belongs to branch "one" of "fork"'):
        resume_order(failed, version=2)


@pytest.mark.parametrize(("version", "words"), [(7, "no version 7. Its newest is 1"), ("2", "must be"), (True, "must")])
def test_version_that_does_not_exist_is_refused(failed: str, version: Any, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        resume_order(failed, version=version)


def test_order_that_runs_takes_no_other_version(begin: Begin, node: Stepper) -> None:
    order = begin({"a": action("b"), "b": action("end")})
    node.claim()
    suspend_order(order)
    with pytest.raises(NotAllowedNow, match="Only suspended and failed"):
        resume_order(order, version="newest")


def test_many_orders_are_redriven_with_the_newest_version(failed: str, node: Stepper) -> None:
    change(seven(s5=action("s6", "tests.mended")))
    assert for_each_order("resume", [failed], version="newest").done == [failed]
    node.until_idle()
    assert outcome(failed) == "succeeded"


def test_suspended_order_goes_on_with_the_new_version(begin: Begin, node: Stepper, handlers: TemporaryHandlers) -> None:
    handlers.add("tests.mended", lambda _: {"mended": True})
    order = begin({"a": action("b"), "b": action("end")})
    suspend_order(order)
    change({"a": action("b", "tests.mended", results=["mended"]), "b": action("end")})
    resume_order(order, version="newest")
    node.until_idle()
    assert ChainOrder.objects.get().variables == {"mended": True}
    assert outcome(order) == "succeeded"


# Branches.


def failed_fork(begin: Begin, node: Stepper, handlers: TemporaryHandlers) -> str:
    sides(handlers, l=OSError("broken for good"))
    handlers.add("tests.mended", lambda _: {"side": "mended"})
    order = begin(join(on_branch_failure="wait"))
    node.until_idle()
    assert ChainOrder.objects.get(id=order).state == "failed"
    handlers.calls.clear()
    return order


def test_branches_that_begin_again_take_the_new_version(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers
) -> None:
    order = failed_fork(begin, node, handlers)
    change({**join(on_branch_failure="wait"), "l": action("join", "tests.mended", results=["side"])})
    resume_order(order, version="newest")
    node.until_idle()
    results = {"left": {"side": "mended"}, "right": {"side": "r"}, "middle": {"side": "m"}}
    assert after(handlers) == [{"branches": results}]
    assert len(handlers.calls) == 2
    assert nothing_is_left()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"fork": {"kind": "fork", "branches": {"left": "l", "right": "r"}, "join": "join"}, "m": None},
         r'"fork" has other branches \(middle\)'),
        ({"l": None, "new": action("join", "tests.mended"),
          "fork": {"kind": "fork", "branches": {"left": "new", "right": "r", "middle": "m"}, "join": "join"}},
         'branch "left" of "fork": that version has no step "l"'),
        ({"join": None, "meet": {"kind": "join", "next": "after"}, "l": action("meet"), "r": action("meet"),
          "m": action("meet"), "fork": {**FORK["fork"], "join": "meet"}},
         'that version has no step "join"'),
    ],
)  # fmt: skip
def test_version_with_other_branches_is_refused_with_the_place(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers, changes: dict[str, Any], words: str
) -> None:
    order = failed_fork(begin, node, handlers)
    steps = {**join(on_branch_failure="wait"), **changes}
    change({name: step for name, step in steps.items() if step is not None})
    with pytest.raises(InvalidRequest, match=words):
        resume_order(order, version="newest")
    assert set(ChainOrder.objects.values_list("version__version", flat=True)) == {1}


def test_suspended_branch_goes_on_with_the_new_version(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers
) -> None:
    sides(handlers)
    handlers.add("tests.mended", lambda _: {"side": "mended"})
    begin(FORK)
    branch = str(ChainOrder.objects.get(branch_name="left").id)
    suspend_order(branch)
    change({**FORK, "l": action("join", "tests.mended", results=["side"])})
    resume_order(branch, version="newest")
    node.until_idle()
    assert after(handlers)[0]["branches"]["left"] == {"side": "mended"}
    assert nothing_is_left()


def test_suspended_branch_refuses_a_version_without_its_fork(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers
) -> None:
    sides(handlers)
    begin(FORK)
    branch = str(ChainOrder.objects.get(branch_name="left").id)
    suspend_order(branch)
    change({"l": action("end", "tests.l")})
    with pytest.raises(InvalidRequest, match='that version has no fork "fork", whose branches the order has'):
        resume_order(branch, version="newest")


def test_elements_that_had_not_begun_take_the_new_version(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.each", {"square": 1}, OSError("broken for good"))
    handlers.add("tests.mended", lambda fire: {"square": fire.payload["element"] ** 2})
    handlers.add("tests.after")
    steps = {**MAP, "map": {**MAP["map"], "parallel": 1}}
    order = begin(steps, {"items": [1, 2, 3]})
    node.until_idle()
    change({**steps, "each": action("join", "tests.mended", results=["square"])})
    resume_order(order, version="newest")
    node.until_idle()
    assert handlers.calls[-1].payload["done"] == [{"square": 1}, {"square": 4}, {"square": 9}]


# Sub-chains.


def inner(second: str, **more: Any) -> dict[str, Any]:
    return {"f": action("i", "tests.first"), "i": action("end", second), **more}


@pytest.fixture
def failed_within(begin: Begin, node: Stepper, handlers: TemporaryHandlers) -> str:
    """An order whose sub-chain failed in its second step."""
    handlers.add("tests.first")
    handlers.script("tests.inner", OSError("broken for good"))
    handlers.add("tests.mended")
    create_chain("work", "inner", {"start": "f", "steps": {**inner("tests.inner"), "end": END}})
    order = begin({"sub": {"kind": "chain", "chain": "inner", "next": "end"}})
    node.until_idle()
    handlers.calls.clear()
    return order


def test_sub_chain_that_begins_again_takes_its_newest_version(
    failed_within: str, node: Stepper, handlers: TemporaryHandlers
) -> None:
    change(inner("tests.mended"), "inner")
    resume_order(failed_within, version="newest")
    node.until_idle()
    assert len(handlers.calls) == 1
    assert ran() == ["f", "i"]
    assert outcome(failed_within) == "succeeded"


def test_sub_chain_keeps_its_version_where_a_number_is_named(
    failed_within: str, node: Stepper, handlers: TemporaryHandlers
) -> None:
    change(inner("tests.mended"), "inner")
    resume_order(failed_within, version=1)
    node.until_idle()
    assert ChainOrder.objects.get(id=failed_within).state == "failed"


@pytest.mark.parametrize("version", ["newest", 2])
def test_other_sub_chain_of_the_new_version_runs_instead_of_the_old_one(
    failed_within: str, node: Stepper, handlers: TemporaryHandlers, version: Any
) -> None:
    create_chain("work", "other", {"start": "o", "steps": {"o": action("end", "tests.mended"), "end": END}})
    change({"sub": {"kind": "chain", "chain": "other", "next": "end"}})
    resume_order(failed_within, version=version)
    node.until_idle()
    assert outcome(failed_within) == "succeeded"
    assert len(handlers.calls) == 1
    children = ChainOrder.objects.filter(parent=failed_within).order_by("id")
    assert list(children.values_list("chain__name", "outcome")) == [("inner", "failed"), ("other", "succeeded")]
    assert nothing_is_left()


def test_other_sub_chain_runs_for_an_order_that_was_resumed_within_its_finally_steps(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.inner", OSError("broken for good"))
    handlers.script("tests.clean", OSError("broken for good"), {})
    handlers.add("tests.mended")
    for name, handler in (("inner", "tests.inner"), ("other", "tests.mended")):
        create_chain("work", name, {"start": "i", "steps": {"i": action("end", handler), "end": END}})
    steps = {
        "sub": {"kind": "chain", "chain": "inner", "next": "end"},
        "clean": action("end", "tests.clean", on_error="suspend"),
    }
    order = begin(steps, **{"finally": "clean"})
    node.until_idle()
    assert ChainOrder.objects.get(id=order).step == "clean"
    change({**steps, "sub": {"kind": "chain", "chain": "other", "next": "end"}}, **{"finally": "clean"})
    resume_order(order, version="newest")
    node.until_idle()
    assert ChainOrder.objects.get(id=order).state == "failed"
    handlers.calls.clear()
    handlers.script("tests.clean", {})
    resume_order(order)
    node.until_idle()
    assert outcome(order) == "succeeded"
    assert ChainOrder.objects.filter(parent=order, chain__name="other").count() == 1


def test_map_over_another_list_is_refused_and_begins_again_where_that_is_requested(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.each", {"square": 1}, OSError("broken for good"))
    handlers.add("tests.mended", lambda fire: {"square": fire.payload["element"] ** 2})
    handlers.add("tests.after")
    steps = {**MAP, "map": {**MAP["map"], "parallel": 1}}
    order = begin(steps, {"items": [1, 2, 3], "others": [4, 5, 6]})
    node.until_idle()
    change(
        {
            **steps,
            "map": {**steps["map"], "over": "others"},
            "each": action("join", "tests.mended", results=["square"]),
        }
    )
    with pytest.raises(InvalidRequest, match=r'"map" is over "others".*begin the map again with "at": "map"'):
        resume_order(order, version="newest")
    resume_order(order, version="newest", at="map")
    node.until_idle()
    assert handlers.calls[-1].payload["done"] == [{"square": 16}, {"square": 25}, {"square": 36}]


def test_list_of_a_map_is_not_changed_while_elements_have_not_begun(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.each", {"square": 1}, OSError("broken for good"), {"square": 4}, {"square": 9})
    handlers.add("tests.after")
    order = begin({**MAP, "map": {**MAP["map"], "parallel": 1}}, {"items": [1, 2, 3]})
    node.until_idle()
    with pytest.raises(InvalidRequest, match='Resume "at": "map" to begin it again') as refused:
        resume_order(order, variables={"items": [7, 8, 9]})
    assert refused.value.field == "variables.items"
    resume_order(order, variables={"items": [1, 2, 3], "colour": "red"})
    node.until_idle()
    assert outcome(order) == "succeeded"


def test_sub_chain_whose_step_is_gone_is_refused_with_its_order(failed_within: str) -> None:
    change({"f": action("other", "tests.first"), "other": action("end", "tests.mended")}, "inner")
    with pytest.raises(InvalidRequest, match=r'order \S+ of the sub-chain: that version has no step "i"'):
        resume_order(failed_within, version="newest")


def test_order_in_its_finally_steps_goes_on_with_the_new_version(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.add("tests.a")
    handlers.script("tests.clean", OSError("broken for good"))
    handlers.add("tests.mended")
    steps = {"a": action("end", "tests.a"), "clean": action("end", "tests.clean", on_error="suspend")}
    order = begin(steps, **{"finally": "clean"})
    node.until_idle()
    assert ChainOrder.objects.get().state == "suspended"
    change({"a": action("end", "tests.a")})
    with pytest.raises(InvalidRequest, match='no step "clean"'):
        resume_order(order, version="newest")
    change({**steps, "clean": action("end", "tests.mended")}, **{"finally": "clean"})
    resume_order(order, version="newest")
    node.until_idle()
    assert outcome(order) == "succeeded"
