"""Forks, maps and sub-chains: branches are orders of their own, and each join goes on exactly once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.engine.orders.conftest import END, action
from tests.support.handlers import TemporaryHandlers
from timers.control.chains.define import create_chain
from timers.control.chains.orders import resume_order
from timers.models import Attempt, ChainOrder, Claim, Waiting
from timers.testing import Stepper

Begin = Callable[..., str]
FORK: dict[str, Any] = {
    "fork": {"kind": "fork", "branches": {"left": "l", "right": "r", "middle": "m"}, "join": "join"},
    "l": action("join", "tests.l", results=["side"]),
    "r": action("join", "tests.r", results=["side"]),
    "m": action("join", "tests.m", results=["side"]),
    "join": {"kind": "join", "next": "after"},
    "after": action("end", "tests.after"),
}
MAP: dict[str, Any] = {
    "map": {"kind": "map", "over": "items", "branch": "each", "join": "join", "parallel": 2, "into": "done"},
    "each": action("join", "tests.each", results=["square"]),
    "join": {"kind": "join", "next": "after"},
    "after": action("end", "tests.after"),
}


def join(**fields: Any) -> dict[str, Any]:
    return {**FORK, "join": {"kind": "join", "next": "after", **fields}}


def sides(handlers: TemporaryHandlers, **ends: Any) -> None:
    for name in "lrm":
        handlers.script(f"tests.{name}", ends.get(name, {"side": name}))
    handlers.add("tests.after")


def after(handlers: TemporaryHandlers) -> list[Any]:
    """The payloads of the step behind the join."""
    return [fire.payload for fire in handlers.calls if "branches" in (fire.payload or {})]


def nothing_is_left() -> bool:
    return not Claim.objects.exists() and not Waiting.objects.exists()


def test_branches_run_and_the_order_goes_on_behind_the_join(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers
) -> None:
    sides(handlers)
    order = begin(FORK, {"given": 1})
    node.until_idle()
    results = {"left": {"side": "l"}, "right": {"side": "r"}, "middle": {"side": "m"}}
    assert after(handlers) == [{"given": 1, "branches": results}]
    assert Counter(ChainOrder.objects.values_list("outcome", flat=True)) == {"succeeded": 4}
    assert Counter(Attempt.objects.values_list("outcome", flat=True)) == {"advanced": 4, "succeeded": 4}
    assert str(Attempt.objects.get(outcome="succeeded", id=order).id) == order
    assert nothing_is_left()


def test_join_any_goes_on_once_and_cancels_the_other_branches(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers
) -> None:
    sides(handlers)
    begin(join(mode="any"))
    while node.claim(limit=1):
        node.run()
        node.finish()
    node.until_idle()
    assert len(after(handlers)) == 1
    assert Counter(ChainOrder.objects.exclude(parent=None).values_list("outcome", flat=True))["cancelled"] >= 1
    assert nothing_is_left()


def test_failing_branch_fails_the_join_and_cancels_the_others(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers
) -> None:
    sides(handlers, l=OSError("broken"))
    order = begin(FORK)
    node.until_idle()
    assert after(handlers) == []
    assert ChainOrder.objects.get(id=order).state == "failed"
    assert [str(row.id) for row in Waiting.objects.all()] == [order]
    assert not Claim.objects.exists()


def test_map_runs_at_most_its_bound_at_once_and_keeps_the_order_of_results(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers
) -> None:
    most = 0

    def each(fire: Any) -> dict[str, int]:
        nonlocal most
        most = max(most, ChainOrder.objects.exclude(parent=None).filter(ended_at=None).count())
        return {"square": fire.payload["element"] ** 2}

    handlers.add("tests.each", each)
    handlers.add("tests.after")
    begin(MAP, {"items": [1, 2, 3, 4, 5]})
    node.until_idle()
    assert handlers.calls[-1].payload["done"] == [{"square": number**2} for number in (1, 2, 3, 4, 5)]
    assert most == 2
    assert nothing_is_left()


def test_map_over_nothing_joins_at_once(begin: Begin, node: Stepper, handlers: TemporaryHandlers) -> None:
    handlers.add("tests.each")
    handlers.add("tests.after")
    begin(MAP, {"items": []})
    node.until_idle()
    assert [fire.payload for fire in handlers.calls] == [{"items": [], "done": []}]


@pytest.mark.parametrize("ends", ["succeeds", "fails"])
def test_sub_chain_is_an_order_of_its_own(begin: Begin, node: Stepper, handlers: TemporaryHandlers, ends: str) -> None:
    handlers.script("tests.inner", {"sum": 3} if ends == "succeeds" else OSError("broken"))
    handlers.add("tests.after")
    create_chain(
        "work", "inner", {"start": "i", "steps": {"i": action("end", "tests.inner", results=["sum"]), "end": END}}
    )
    steps = {
        "sub": {"kind": "chain", "chain": "inner", "next": "after", "results": ["sum"]},
        "after": action("end", "tests.after"),
    }
    order = begin(steps, {"given": 1})
    node.until_idle()
    row = ChainOrder.objects.get(id=order)
    if ends == "succeeds":
        assert handlers.calls[-1].payload == {"given": 1, "sum": 3}
        assert (row.outcome, nothing_is_left()) == ("succeeded", True)
    else:
        assert (row.state, len(handlers.calls)) == ("failed", 1)


def test_resumed_join_runs_only_the_branches_that_had_not_succeeded(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers
) -> None:
    sides(handlers)
    handlers.script("tests.l", OSError("broken"), {"side": "mended"})
    order = begin(join(on_branch_failure="wait"))
    node.until_idle()
    assert ChainOrder.objects.get(id=order).state == "failed"
    handlers.calls.clear()
    resume_order(order)
    node.until_idle()
    assert len(handlers.calls) == 2
    results = {"left": {"side": "mended"}, "right": {"side": "r"}, "middle": {"side": "m"}}
    assert after(handlers) == [{"branches": results}]
    assert Attempt.objects.get(id=order).outcome == "succeeded"
    assert nothing_is_left()


def test_resumed_order_begins_its_failed_sub_chain_again_where_it_failed(
    begin: Begin, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.add("tests.first")
    handlers.script("tests.inner", OSError("broken"), None)
    steps = {"f": action("i", "tests.first"), "i": action("end", "tests.inner"), "end": END}
    create_chain("work", "inner", {"start": "f", "steps": steps})
    order = begin({"sub": {"kind": "chain", "chain": "inner", "next": "end"}})
    node.until_idle()
    resume_order(order)
    node.until_idle()
    assert [fire.name for fire in handlers.calls] == ["order"] * 3
    assert Attempt.objects.get(id=order).outcome == "succeeded"
    assert nothing_is_left()
