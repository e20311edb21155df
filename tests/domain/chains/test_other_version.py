"""Whether an order can go on with another version of its chain."""

from __future__ import annotations

from typing import Any

import pytest

from timers.domain.chains import Branch, Chain, Order, Pending, parse_chain
from timers.domain.chains.other_version import check_version, without_replaced_sub_chain
from timers.exceptions import InvalidRequest

STEPS: dict[str, Any] = {
    "a": {"action": {"handler": "h"}, "next": "fork"},
    "fork": {"kind": "fork", "branches": {"left": "l", "right": "r"}, "join": "both"},
    "l": {"action": {"handler": "h"}, "next": "both"},
    "r": {"action": {"handler": "h"}, "next": "both"},
    "both": {"kind": "join", "next": "map"},
    "map": {"kind": "map", "over": "items", "branch": "each", "join": "all"},
    "each": {"action": {"handler": "h"}, "next": "all"},
    "all": {"kind": "join", "next": "sub"},
    "sub": {"kind": "chain", "chain": "inner", "next": "end"},
    "clean": {"action": {"handler": "h"}, "next": "end"},
    "end": {"kind": "end"},
}
WITH_FINALLY = {"finally": "clean"}


def chain(changes: dict[str, Any] | None = None, fields: dict[str, Any] | None = None) -> Chain:
    steps = {name: step for name, step in {**STEPS, **(changes or {})}.items() if step is not None}
    return parse_chain({"start": "a", "steps": steps, **(WITH_FINALLY if fields is None else fields)})


def at(step: str, **fields: Any) -> Order:
    return Order("order", step, state="failed", **fields)


LEFT, ELEMENT = Branch("fork", name="left"), Branch("map", index=3)
WITHOUT_FORK = {"a": {**STEPS["a"], "next": "map"}, "fork": None, "l": None, "r": None, "both": None}
REFUSED: dict[str, tuple[Order, Chain, str]] = {
    "the step is gone": (at("l", branch=LEFT), chain({"l": None, "fork": {**STEPS["fork"], "branches": {
        "left": "r2", "right": "r"}}, "r2": {"action": {"handler": "h"}, "next": "both"}}), 'no step "l"'),
    "the step is in another branch": (at("l", branch=LEFT), chain({"fork": {**STEPS["fork"], "branches": {
        "left": "r", "right": "l"}}}), 'belongs to branch "right" of "fork"'),
    "the fork is gone": (at("l", branch=LEFT), chain(WITHOUT_FORK), 'no fork "fork", whose branches'),
    "the fork has other branches": (at("both", round=2), chain({"fork": {**STEPS["fork"], "branches": {
        "left": "l", "middle": "r"}}}), r'"fork" has other branches \(middle, right\)'),
    "the element has another name": (at("each", branch=ELEMENT), chain({"map": {**STEPS["map"], "element": "item"}}),
        '"map" gives its branches "item"'),
    "the map is a fork": (at("all", round=2), chain({"map": {"kind": "fork", "branches": {"x": "each"},
        "join": "all"}}), 'no map "map", whose branches'),
    "the map is over another list": (at("all", round=2), chain({"map": {**STEPS["map"], "over": "others"}}),
        '"map" is over "others", and the order has branches of elements of "items"'),
    "the map to resume is over another list": (at("clean", in_finally=True, pending=Pending("failed", "x", "all", 2)),
        chain({"map": {**STEPS["map"], "over": "files.names"}}), '"map" is over "files.names"'),
    "the sub-chain is an action": (at("sub", round=2), chain({"sub": {"action": {"handler": "h"}, "next": "end"}}),
        '"sub" is not of the kind chain'),
    "the finally steps are gone": (at("end", in_finally=True), chain({"clean": None}, {}), "has no finally steps"),
    "the step to resume from is gone": (at("clean", in_finally=True, pending=Pending("failed", "x", "sub")),
        chain({"all": {**STEPS["all"], "next": "end"}, "sub": None}), 'no step "sub"'),
    "the branches to resume are others": (at("clean", in_finally=True, pending=Pending("failed", "x", "both", 2)),
        chain({"fork": {**STEPS["fork"], "branches": {"left": "l", "other": "r"}}}), "has other branches"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_version_with_which_an_order_cannot_go_on_is_refused(case: str) -> None:
    order, after, words = REFUSED[case]
    with pytest.raises(InvalidRequest, match=words) as refused:
        check_version(chain(), after, order)
    assert refused.value.field == "version"
    assert "resume the order with its own version" in str(refused.value)


ALLOWED: dict[str, tuple[Order, Chain]] = {
    "the step does another thing": (at("a"), chain({"a": {"action": {"handler": "other"}, "next": "map"},
        "fork": None, "l": None, "r": None, "both": None})),
    "the step is of another kind": (at("a"), chain({"a": {"kind": "approval", "next": "fork"}})),
    "the branch has more steps": (at("l", branch=LEFT), chain({"l": {**STEPS["l"], "next": "l2"},
        "l2": {"action": {"handler": "h"}, "next": "both"}})),
    "the join has another mode": (at("both", round=2), chain({"both": {**STEPS["both"], "mode": "any"}})),
    "a branch of a map over another list": (at("each", branch=ELEMENT), chain({"map": {**STEPS["map"],
        "over": "others"}})),
    "another sub-chain": (at("sub", round=2), chain({"sub": {**STEPS["sub"], "chain": "other"}})),
    "finally steps that it is not in": (at("a"), chain({"clean": None}, {})),
    "an end stays an end": (at("end"), chain({"l": {**STEPS["l"], "next": "end"}})),
}  # fmt: skip


@pytest.mark.parametrize("case", ALLOWED)
def test_version_with_which_an_order_can_go_on_is_allowed(case: str) -> None:
    order, after = ALLOWED[case]
    check_version(chain(), after, order)


def test_order_that_goes_elsewhere_needs_only_what_it_waits_for() -> None:
    after = chain(WITHOUT_FORK)
    check_version(chain(), after, at("l"), is_elsewhere=True)
    with pytest.raises(InvalidRequest, match="not of the kind join"):
        check_version(chain(), after, at("both", round=2), is_elsewhere=True)


def test_order_that_begins_a_map_again_may_have_another_list() -> None:
    check_version(chain(), chain({"map": {**STEPS["map"], "over": "others"}}), at("all", round=2), is_elsewhere=True)


OTHER = {"sub": {**STEPS["sub"], "chain": "other"}}


def test_order_loses_only_a_sub_chain_that_the_other_version_replaces() -> None:
    before, failed = chain(), at("sub", round=2)
    assert without_replaced_sub_chain(before, chain(), failed) == failed
    assert without_replaced_sub_chain(before, chain(OTHER), failed).round is None
    joining = at("both", round=2)
    assert without_replaced_sub_chain(before, chain(OTHER), joining) == joining


def test_order_in_its_finally_steps_loses_the_sub_chain_that_is_replaced() -> None:
    pending = Pending("failed", "x", "sub", 2)
    order = at("clean", in_finally=True, pending=pending)
    assert without_replaced_sub_chain(chain(), chain(), order) == order
    assert without_replaced_sub_chain(chain(), chain(OTHER), order).pending == Pending("failed", "x", "sub")
