"""Maps: a branch for each element, so many at once, results in their order."""

from __future__ import annotations

from typing import Any

import pytest

from tests.domain.chains.engine import END, Engine, action
from timers.domain.chains import events
from timers.exceptions import InvalidRequest


def mapped(parallel: int = 2, **join: Any) -> Engine:
    """A map with one step for each element of `files`."""
    steps: dict[str, Any] = {
        "map": {"kind": "map", "over": "files", "branch": "load", "element": "file", "parallel": parallel,
                "into": "loaded", "join": "join"},
        "load": action("join", results=["rows"]),
        "join": {"kind": "join", "next": "after", **join},
        "after": action("z"),
        "z": END,
    }  # fmt: skip
    return Engine(main={"steps": steps})


def names_of(at: Engine, order: int) -> list[Any]:
    branches = [at.rows[child].order.branch for child in at.children(order)]
    return [branch.name if branch.index is None else branch.index for branch in branches if branch is not None]


def test_map_gives_each_branch_its_element() -> None:
    at = mapped(parallel=10)
    order = at.start(files=["x", "y"])

    assert [at.order(child).variables for child in at.children(order)] == [{"file": "x"}, {"file": "y"}]


def test_map_joins_with_the_results_in_the_order_of_the_elements() -> None:
    at = mapped(parallel=3)
    order = at.start(files=["x", "y", "z"])

    for index in (2, 0, 1):
        at.run(at.branch(order, index), {"rows": index})

    assert at.place(order) == ("after", "ready")
    assert at.order(order).variables["loaded"] == [{"rows": 0}, {"rows": 1}, {"rows": 2}]


def test_map_runs_no_more_branches_at_once_than_allowed() -> None:
    at = mapped(parallel=50)
    order = at.start(files=list(range(300)))

    for index in range(300):
        at.run(at.branch(order, index), {"rows": index})

    assert at.most_running == {(order, 1): 50}
    assert at.order(order).variables["loaded"] == [{"rows": index} for index in range(300)]


def test_map_that_ignores_failures_has_null_for_what_failed() -> None:
    at = mapped(on_branch_failure="ignore")
    order = at.start(files=["x", "y", "z"])

    at.run(at.branch(order, 0), error="broken")
    at.run(at.branch(order, 1), {"rows": 1})
    at.run(at.branch(order, 2), error="broken")

    assert at.order(order).variables["loaded"] == [None, {"rows": 1}, None]


def test_map_over_an_empty_list_joins_at_once() -> None:
    at = mapped()
    order = at.start(files=[])

    assert at.place(order) == ("after", "ready")
    assert at.order(order).variables["loaded"] == []


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({}, "over: files is missing, not a list. Set it, and resume the order."),
        ({"files": {"a": 1}}, "over: files is an object, not a list. Set it, and resume the order."),
        ({"files": "abc"}, "over: files is text, not a list. Set it, and resume the order."),
        ({"files": [0] * 10_001}, "over: files has 10,001 elements; 10,000 are allowed"),
    ],
)
def test_map_over_something_else_fails_its_step(variables: dict[str, Any], problem: str) -> None:
    at = mapped()

    order = at.start(**variables)

    assert at.place(order) == ("map", "failed")
    assert at.order(order).reason == f"map failed: {problem}"


def test_map_over_too_few_elements_fails_its_join() -> None:
    at = mapped(mode=3)

    order = at.start(files=[])

    assert at.place(order) == ("join", "failed")
    assert at.order(order).reason == "join failed: 3 branches must succeed; there are 0"


def test_redrive_of_a_map_that_had_no_elements_begins_at_the_map() -> None:
    at = mapped(mode=1)
    order = at.start(files=[])

    at.send(order, events.Resumed(variables={"files": ["x"]}))

    assert at.place(order) == ("join", "joining")
    assert names_of(at, order) == [0]


def test_redrive_of_a_map_begins_failed_and_missing_elements_again() -> None:
    at = mapped(parallel=2)
    order = at.start(files=["v", "w", "x", "y", "z"])
    at.run(at.branch(order, 0), {"rows": 0})
    at.run(at.branch(order, 2), error="broken")
    assert at.place(order) == ("join", "failed")
    round_ = at.order(order).round
    assert round_ is not None

    at.send(order, events.Resumed(tallies=at.tallies(order, round_)))
    assert [at.place(at.branch(order, index))[1] for index in (1, 2)] == ["ready", "ready"]
    assert names_of(at, order) == [0, 1, 2]
    for index in range(1, 5):
        at.run(at.branch(order, index), {"rows": index})

    assert at.order(order).variables["loaded"] == [{"rows": index} for index in range(5)]
    assert at.most_running == {(order, round_): 2}


@pytest.mark.parametrize("files", [["x"], ["x", "z"], "x"])
def test_list_of_a_map_is_not_changed_while_elements_have_not_begun(files: Any) -> None:
    at = mapped(parallel=1)
    order = at.start(files=["x", "y"])
    at.run(at.branch(order, 0), error="broken")
    round_ = at.order(order).round
    assert round_ is not None

    with pytest.raises(InvalidRequest, match=r'variables.files: .*Resume "at": "map" to begin it again'):
        at.send(order, events.Resumed(variables={"files": files}, tallies=at.tallies(order, round_)))

    at.send(order, events.Resumed("map", {"files": files}, at.tallies(order, round_)))
    assert at.order(order).variables["files"] == files


def test_list_of_a_map_may_change_when_all_its_elements_have_begun() -> None:
    at = mapped(parallel=2)
    order = at.start(files=["x", "y"])
    at.run(at.branch(order, 0), error="broken")
    round_ = at.order(order).round
    assert round_ is not None

    at.send(order, events.Resumed(variables={"files": []}, tallies=at.tallies(order, round_)))

    assert at.place(order) == ("join", "joining")
