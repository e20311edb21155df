"""Forks within forks, and orders of sub-chains."""

from __future__ import annotations

from typing import Any

import pytest

from tests.domain.chains.engine import END, Engine, action
from timers.domain.chains import events
from timers.exceptions import NotAllowedNow


def test_inner_fork_joins_before_its_branch_goes_on() -> None:
    steps = {
        "outer": {"kind": "fork", "branches": {"a": "inner", "b": "b"}, "join": "outer-join"},
        "inner": {"kind": "map", "over": "list", "branch": "item", "into": "items", "join": "inner-join"},
        "item": action("inner-join", results=["value"]),
        "inner-join": {"kind": "join", "next": "outer-join"},
        "b": action("outer-join", results=["value"]),
        "outer-join": {"kind": "join", "next": "z"},
        "z": END,
    }
    at = Engine(main={"steps": steps})
    order = at.start(list=[10, 20])
    a, b = at.children(order)
    assert at.place(a) == ("inner-join", "joining")

    at.run(b, {"value": "b"})
    for child in at.children(a):
        assert at.order(child).seen["list"] == [10, 20]
        at.run(child, {"value": 1})

    assert at.order(order).variables["branches"] == {"a": {"items": [{"value": 1}] * 2}, "b": {"value": "b"}}


def test_redrive_goes_down_to_the_branch_of_a_branch_that_failed() -> None:
    inner = {"kind": "fork", "branches": {"x": "x", "y": "y"}, "join": "inner-join"}
    steps = {
        "outer": {"kind": "fork", "branches": {"a": "inner"}, "join": "outer-join"}, "inner": inner,
        "x": action("inner-join"), "y": action("inner-join"), "inner-join": {"kind": "join", "next": "outer-join"},
        "outer-join": {"kind": "join", "next": "z"}, "z": END,
    }  # fmt: skip
    at = Engine(main={"steps": steps})
    order = at.start()
    (a,) = at.children(order)
    x, y = at.children(a)
    at.run(x)
    at.run(y, error="broken")
    assert at.place(order) == ("outer-join", "failed")
    round_ = at.order(order).round
    assert round_ is not None

    at.send(order, events.Resumed(tallies=at.tallies(order, round_)))

    assert at.place(a) == ("inner-join", "joining")
    assert [at.order(each).outcome for each in (x, y)] == ["succeeded", None]
    at.run(y)
    assert at.order(order).outcome == "succeeded"


def sub(**step: Any) -> Engine:
    ship = {"kind": "chain", "chain": "shipping", "next": "z", **step}
    return Engine(
        main={"steps": {"ship": ship, "z": END}},
        shipping={"variables": {"mode": "air"}, "steps": {"pack": action("done", results=["parcel"]), "done": END}},
    )


def test_sub_chain_runs_with_the_variables_and_gives_results_back() -> None:
    at = sub(results={"number": "/parcel"})
    order = at.start(lines=[1])
    (inner,) = at.children(order)
    assert at.place(order) == ("ship", "joining")
    assert at.order(inner).variables == {"mode": "air", "lines": [1]}

    at.run(inner, {"parcel": "P1"})

    assert at.order(order).outcome == "succeeded"
    assert at.order(order).variables == {"lines": [1], "number": "P1"}


def test_sub_chain_begins_with_the_variables_that_its_step_names() -> None:
    at = sub(variables=["lines", "missing"])
    order = at.start(lines=[1], secret="s")

    assert at.order(at.children(order)[0]).variables == {"mode": "air", "lines": [1]}


def test_failed_sub_chain_fails_its_step_and_goes_on_where_it_failed() -> None:
    at = sub()
    order = at.start()
    (inner,) = at.children(order)

    at.run(inner, error="no box")
    assert at.place(order) == ("ship", "failed")
    assert at.order(order).reason == "ship failed: sub-chain shipping failed: pack failed: no box"
    at.send(order, events.Resumed())

    assert at.children(order) == [inner]
    assert at.place(inner) == ("pack", "ready")
    at.run(inner, {"parcel": 1})
    assert at.order(order).outcome == "succeeded"


def test_retry_of_a_sub_chain_begins_a_new_order() -> None:
    at = sub(retry=[5])
    order = at.start()
    (first,) = at.children(order)

    at.run(first, error="no box")
    assert at.place(order) == ("ship", "waiting")
    at.pass_time(order)
    (second,) = at.children(order)

    assert first != second
    at.send(order, events.SubChainEnded(1, "succeeded"))
    assert at.place(order) == ("ship", "joining")


def test_cancel_of_an_order_cancels_its_sub_chain() -> None:
    at = sub()
    order = at.start()
    (inner,) = at.children(order)

    at.send(order, events.Cancelled())

    assert at.order(inner).outcome == "cancelled"


def test_sub_chain_without_the_results_that_are_asked_for_fails_its_step() -> None:
    at = sub(results=["weight"])
    order = at.start()

    at.run(at.children(order)[0], {"parcel": 1})

    assert at.place(order) == ("ship", "failed")
    assert 'the sub-chain\'s variables has no value at "/weight"' in at.order(order).reason


def test_sub_chain_whose_finally_steps_failed_repeats_only_those() -> None:
    at = Engine(
        main={"steps": {"ship": {"kind": "chain", "chain": "shipping", "next": "z"}, "z": END}},
        shipping={"finally": "clean", "steps": {"pack": action("z"), "clean": action("z"), "z": END}},
    )
    order = at.start()
    (inner,) = at.children(order)
    at.run(inner)
    at.run(inner, error="disk full")
    assert at.place(order) == ("ship", "failed")

    at.send(order, events.Resumed())
    assert at.place(inner) == ("clean", "ready")
    at.run(inner)

    assert at.order(inner).outcome == "succeeded"
    assert at.order(order).outcome == "succeeded"


def test_sub_chain_that_came_to_a_failed_end_begins_from_its_start() -> None:
    at = Engine(
        main={"steps": {"ship": {"kind": "chain", "chain": "shipping", "next": "z"}, "z": END}},
        shipping={"steps": {"pack": action("bad"), "bad": {"kind": "end", "outcome": "failed", "reason": "no goods"}}},
    )
    order = at.start()
    (inner,) = at.children(order)
    at.run(inner)
    assert at.order(order).reason == "ship failed: sub-chain shipping failed: no goods"

    at.send(order, events.Resumed())

    assert at.place(inner) == ("pack", "ready")


def test_branches_that_begin_again_are_cancelled_when_one_fails_at_once() -> None:
    steps = {
        "fork": {"kind": "fork", "branches": {"a": "a", "b": "map"}, "join": "join"},
        "a": action("join"),
        "map": {"kind": "map", "over": "list", "branch": "item", "join": "map-join"},
        "item": action("map-join"),
        "map-join": {"kind": "join", "next": "join"},
        "join": {"kind": "join", "next": "z"},
        "z": END,
    }
    at = Engine(main={"steps": steps})
    order = at.start(list="no list")
    round_ = at.order(order).round
    assert at.place(order) == ("join", "failed")
    assert round_ is not None

    at.send(order, events.Resumed(tallies=at.tallies(order, round_)))

    assert at.place(order) == ("join", "failed")
    assert {at.order(child).outcome for child in at.children(order)} == {"failed", "cancelled"}


def test_cancelled_sub_chain_is_not_reset_while_its_finally_steps_run() -> None:
    at = Engine(
        main={"steps": {"ship": {"kind": "chain", "chain": "shipping", "next": "a"}, "a": action("z"), "z": END}},
        shipping={"finally": "clean", "steps": {"pack": action("z"), "clean": action("z"), "z": END}},
    )
    order = at.start()
    (inner,) = at.children(order)
    at.send(order, events.Skipped())
    assert at.place(inner) == ("clean", "ready")

    with pytest.raises(NotAllowedNow, match="the order that began it has gone on"):
        at.send(inner, events.Reset())
    at.run(inner)

    assert at.order(inner).outcome == "cancelled"
    assert at.place(order) == ("a", "ready")


def test_branch_that_begins_again_has_its_visits_counted_anew() -> None:
    steps = {
        "fork": {"kind": "fork", "branches": {"a": "a"}, "join": "join"}, "a": action("join", max_visits=1),
        "join": {"kind": "join", "next": "z"}, "z": END,
    }  # fmt: skip
    at = Engine(main={"steps": steps})
    order = at.start()
    (branch,) = at.children(order)
    at.run(branch, error="broken")
    round_ = at.order(order).round
    assert round_ is not None

    at.send(order, events.Resumed(tallies=at.tallies(order, round_)))

    assert at.place(branch) == ("a", "ready")
    assert at.order(branch).visits == {"a": 1}
