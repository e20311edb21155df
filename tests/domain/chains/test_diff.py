"""The difference of two definitions, in words and as data."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from tests.domain.chains.engine import END, action
from tests.domain.chains.test_parse import EVERY_KIND
from timers.domain.chains import parse_chain
from timers.domain.chains.diff import diff, in_words

ONE: dict[str, Any] = {
    "deadline": 60,
    "steps": {"a": action("b", timeout=30, results=["x"]), "b": action("z"), "z": END},
}


def test_equal_definitions_have_no_difference() -> None:
    assert diff(parse_chain(EVERY_KIND), parse_chain(deepcopy(EVERY_KIND))) == []
    assert in_words([]) == "no change"


def test_difference_names_each_field_that_changed() -> None:
    other = {
        "priority": 2,
        "steps": {
            "a": action("c", timeout=60, results={"x": "/x", "y": "/sum"}),
            "c": {"kind": "wait", "duration": 5, "next": "z"},
            "z": END,
        },
    }

    assert in_words(diff(parse_chain(ONE), parse_chain(other))).splitlines() == [
        "priority added: 2",
        "deadline removed: 60",
        'step "a": next changed from b to c',
        'step "a": results.y added: /sum',
        'step "a": timeout changed from 30 to 60',
        'step "c" added (wait)',
        'step "b" removed (action)',
    ]


def test_difference_as_data_has_both_values() -> None:
    other = deepcopy(ONE)
    other["steps"]["a"]["timeout"] = 60

    (change,) = diff(parse_chain(ONE), parse_chain(other))

    assert change.to_json() == {
        "kind": "changed", "step": "a", "path": ["timeout"], "before": 30, "after": 60,
        "words": 'step "a": timeout changed from 30 to 60',
    }  # fmt: skip


def test_long_values_are_shortened_in_words() -> None:
    other = {**ONE, "description": "x" * 500}

    assert len(in_words(diff(parse_chain(ONE), parse_chain(other)))) < 120


def test_true_and_one_are_different() -> None:
    one, other = deepcopy(ONE), deepcopy(ONE)
    one["variables"], other["variables"] = {"v": 1}, {"v": True}

    assert in_words(diff(parse_chain(one), parse_chain(other))) == "variables.v changed from 1 to true"
