"""Forks and joins: branches are orders of their own, and each join goes on once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.domain.chains.engine import END, Engine, action
from timers.domain.chains import StepStates, Tallies, events
from timers.exceptions import InvalidRequest


def forked(*names: str, **join: Any) -> Engine:
    """A fork with one step in each branch."""
    steps: dict[str, Any] = {
        "fork": {"kind": "fork", "branches": {name: name for name in names}, "join": "join"},
        "join": {"kind": "join", "next": "after", **join},
        "after": action("z"),
        "z": END,
        **{name: action("join", results=["value"]) for name in names},
    }
    return Engine(main={"steps": steps})


def names_of(at: Engine, order: int) -> list[Any]:
    branches = [at.rows[child].order.branch for child in at.children(order)]
    return [branch.name if branch.index is None else branch.index for branch in branches if branch is not None]


def test_fork_begins_every_branch_and_waits_at_its_join() -> None:
    at = forked("a", "b", "c")
    order = at.start()

    assert at.place(order) == ("join", "joining")
    assert names_of(at, order) == ["a", "b", "c"]
    assert [at.place(child) for child in at.children(order)] == [("a", "ready"), ("b", "ready"), ("c", "ready")]


def test_join_of_all_goes_on_after_the_last_branch_with_all_results() -> None:
    at = forked("a", "b")
    order = at.start(kept=1)
    a, b = at.children(order)

    at.run(b, {"value": 2})
    assert at.place(order) == ("join", "joining")
    at.run(a, {"value": 1})

    assert at.place(order) == ("after", "ready")
    assert at.order(order).variables == {"kept": 1, "branches": {"a": {"value": 1}, "b": {"value": 2}}}
    assert at.collected == [(order, 1)]


def test_branch_sees_the_variables_of_its_parent_and_keeps_its_own() -> None:
    at = forked("a", "b")
    order = at.start(value=0, other=5)
    a, b = at.children(order)

    assert at.order(a).seen == {"value": 0, "other": 5}
    at.run(a, {"value": 1})

    assert at.order(b).seen["value"] == 0
    assert at.order(order).variables["value"] == 0


def test_join_of_any_goes_on_with_the_first_and_cancels_the_others() -> None:
    at = forked("a", "b", "c", mode="any")
    order = at.start()
    a, b, c = at.children(order)
    at.claim(a)

    at.run(b, {"value": 2})

    assert at.place(order) == ("after", "ready")
    assert at.order(order).variables == {"branches": {"b": {"value": 2}}}
    assert [at.order(child).outcome for child in (a, b, c)] == ["cancelled", "succeeded", "cancelled"]
    assert at.rows[a].moves is not None
    assert at.rows[a].moves.revoke


def test_join_of_a_number_goes_on_when_so_many_have_succeeded() -> None:
    at = forked("a", "b", "c", mode=2, on_branch_failure="wait")
    order = at.start()
    a, b, c = at.children(order)

    at.run(a, error="broken")
    at.run(b, {"value": 2})
    assert at.place(order) == ("join", "joining")
    at.run(c, {"value": 3})

    assert at.place(order) == ("after", "ready")
    assert at.order(order).variables == {"branches": {"b": {"value": 2}, "c": {"value": 3}}}


def test_failed_branch_fails_the_join_and_cancels_the_others() -> None:
    at = forked("a", "b", "c")
    order = at.start()
    a, b, c = at.children(order)
    at.run(a, {"value": 1})

    at.run(b, error="broken")

    assert at.place(order) == ("join", "failed")
    assert at.order(order).reason == "join failed: 1 of 3 branches did not succeed"
    assert at.order(c).outcome == "cancelled"


def test_join_that_waits_fails_when_all_branches_have_ended() -> None:
    at = forked("a", "b", on_branch_failure="wait", on_error={"goto": "after"})
    order = at.start()
    a, b = at.children(order)

    at.run(a, error="broken")
    assert at.place(order) == ("join", "joining")
    at.run(b, {"value": 2})

    assert at.place(order) == ("after", "ready")
    assert at.order(order).variables == {}


def test_join_that_ignores_failures_goes_on_with_what_succeeded() -> None:
    at = forked("a", "b", on_branch_failure="ignore")
    order = at.start()
    a, b = at.children(order)

    at.run(a, error="broken")
    at.run(b, {"value": 2})

    assert at.order(order).variables == {"branches": {"b": {"value": 2}}}


def test_branch_that_a_person_cancels_counts_as_failed() -> None:
    at = forked("a", "b")
    order = at.start()

    at.send(at.branch(order, "a"), events.Cancelled())

    assert at.place(order) == ("join", "failed")


def test_redrive_of_a_failed_join_keeps_the_results_of_good_branches() -> None:
    at = forked("a", "b", "c")
    order = at.start()
    a, b, c = at.children(order)
    at.run(a, {"value": 1})
    at.run(b, error="broken")
    round_ = at.order(order).round
    assert round_ is not None

    at.send(order, events.Resumed(tallies=at.tallies(order, round_)))

    assert at.place(order) == ("join", "joining")
    assert [at.place(child) for child in (a, b, c)] == [
        ("a", "ended"),
        ("b", "ready"),
        ("c", "ready"),
    ]
    at.run(b, {"value": 2})
    at.run(c, {"value": 3})
    assert at.order(order).variables["branches"] == {"a": {"value": 1}, "b": {"value": 2}, "c": {"value": 3}}


def test_failed_join_can_be_resumed_at_its_fork() -> None:
    at = forked("a", "b")
    order = at.start()
    first = at.children(order)
    at.run(first[0], error="broken")

    at.send(order, events.Resumed(at="fork"))

    assert at.place(order) == ("join", "joining")
    assert not set(first) & set(at.children(order))


def test_end_of_a_branch_that_comes_twice_joins_once() -> None:
    at = forked("a", "b")
    order = at.start()
    for child in at.children(order):
        at.run(child, {"value": 1})
    before = at.order(order)

    at.send(order, events.BranchEnded(1, Tallies(2, 2, 2)))
    at.send(order, events.BranchesCollected(1, Tallies(2, 2, 2), {}))

    assert at.order(order) == before


def test_branches_of_a_second_visit_are_a_round_of_their_own() -> None:
    steps = {
        "fork": {"kind": "fork", "branches": {"a": "a"}, "join": "join"},
        "a": action("join", results=["value"]),
        "join": {"kind": "join", "next": "more"},
        "more": {
            "kind": "choice",
            "choices": [{"when": {"branches.a.value": "again"}, "next": "fork"}],
            "default": "z",
        },
        "z": END,
    }
    at = Engine(main={"steps": steps})
    order = at.start()
    (first,) = at.children(order)

    at.run(first, {"value": "again"})
    (second,) = at.children(order)
    at.send(order, events.BranchEnded(1, Tallies(1, 1, 1)))
    assert at.place(order) == ("join", "joining")
    at.run(second, {"value": "enough"})

    assert first != second
    assert at.order(order).outcome == "succeeded"
    assert len(at.collected) == 2


def test_suspend_of_a_joining_order_applies_behind_the_join() -> None:
    at = forked("a")
    order = at.start()
    at.send(order, events.Suspended())

    at.run(at.branch(order, "a"), {"value": 1})

    assert at.place(order) == ("after", "suspended")


def test_cancel_of_a_joining_order_cancels_its_branches() -> None:
    at = forked("a", "b")
    order = at.start()
    children = at.children(order)

    at.send(order, events.Cancelled())

    assert at.order(order).outcome == "cancelled"
    assert [at.order(child).outcome for child in children] == ["cancelled", "cancelled"]


def test_skipped_fork_is_passed_with_its_join() -> None:
    at = forked("a", "b")
    at.states = StepStates(skipped=frozenset({"fork"}))

    assert at.place(at.start()) == ("after", "ready")


def test_person_lets_an_order_skip_its_join() -> None:
    at = forked("a", "b")
    order = at.start()
    children = at.children(order)

    at.send(order, events.Skipped())

    assert at.place(order) == ("after", "ready")
    assert {at.order(child).outcome for child in children} == {"cancelled"}


@pytest.mark.parametrize(
    ("to", "problem"),
    [
        ("join", 'to: "join" is a join. Go to "fork", or to a step behind the join.'),
        ("a", 'to: "a" belongs to branch "a" of "fork"; the order is in the chain itself.'),
    ],
)
def test_order_cannot_be_moved_into_a_branch_or_a_join(to: str, problem: str) -> None:
    at = forked("a")
    order = at.start()

    with pytest.raises(InvalidRequest) as caught:
        at.send(order, events.Moved(to))

    assert str(caught.value) == problem


def test_branch_can_be_reset_to_its_first_step() -> None:
    steps = {
        "fork": {"kind": "fork", "branches": {"a": "a1"}, "join": "join"}, "a1": action("a2"), "a2": action("join"),
        "join": {"kind": "join", "next": "z"}, "z": END,
    }  # fmt: skip
    at = Engine(main={"steps": steps})
    branch = at.branch(at.start(), "a")
    at.run(branch)

    at.send(branch, events.Reset())

    assert at.place(branch) == ("a1", "ready")


def test_end_step_in_a_branch_ends_the_branch() -> None:
    steps = {
        "fork": {"kind": "fork", "branches": {"a": "a", "b": "b"}, "join": "join"}, "a": action("z"),
        "b": action("bad"),
        "join": {"kind": "join", "next": "z", "on_branch_failure": "ignore"}, "z": END,
        "bad": {"kind": "end", "outcome": "failed"},
    }  # fmt: skip
    at = Engine(main={"steps": steps})
    order = at.start()
    a, b = at.children(order)

    at.run(a)
    at.run(b)

    assert [at.order(each).outcome for each in (a, b, order)] == ["succeeded", "failed", "succeeded"]


def test_results_that_are_too_large_together_fail_the_join() -> None:
    at = forked("a", "b")
    order = at.start()
    a, b = at.children(order)

    at.run(a, {"value": "x" * 40_000})
    at.run(b, {"value": "x" * 40_000})

    assert at.place(order) == ("join", "failed")
    assert "may be at most 65,536 bytes" in at.order(order).reason
