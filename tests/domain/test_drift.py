from __future__ import annotations

from typing import Any

import pytest

from timers.domain.drift import Difference, Published, config_hash, differences


def lease(node: str, seconds: float) -> Published:
    return Published(node, {"TIMERS_LEASE": seconds})


def knows(node: str, *handlers: str, roles: tuple[str, ...] = ()) -> Published:
    return Published(node, handlers=frozenset(handlers), roles=frozenset(roles))


def test_nodes_that_are_alike_differ_in_nothing() -> None:
    alike = [Published(node, {"TIMERS_LEASE": 10.0}, "1.0", "2026b", frozenset({"a"})) for node in "abc"]
    assert differences(alike) == []
    assert differences([]) == differences(alike[:1]) == []


def test_the_value_that_most_nodes_have_comes_first_and_the_others_are_odd() -> None:
    (found,) = differences([lease("a", 30.0), lease("b", 10.0), lease("c", 10.0)])
    assert found == Difference("setting", "TIMERS_LEASE", ((10.0, ("b", "c")), (30.0, ("a",))))
    assert found.odd == {"a"}


def test_of_equal_numbers_the_node_whose_name_comes_first_is_taken_as_the_majority() -> None:
    (found,) = differences([lease("b", 10.0), lease("a", 30.0)])
    assert found.values == ((30.0, ("a",)), (10.0, ("b",)))


def test_a_setting_that_a_node_does_not_publish_is_no_difference() -> None:
    assert differences([lease("a", 10.0), Published("b"), Published("c", {"TIMERS_NOTIFY": True})]) == []


@pytest.mark.parametrize(
    ("kind", "name", "first", "second"),
    [
        ("setting", "TIMERS_NOTIFY", {"settings": {"TIMERS_NOTIFY": True}}, {"settings": {"TIMERS_NOTIFY": False}}),
        ("setting", "X", {"settings": {"X": 1}}, {"settings": {"X": True}}),
        ("version", "version", {"version": "1.0"}, {"version": "1.1"}),
        ("zone_rules", "edition of time zone rules", {"zone_rules": "2025b"}, {"zone_rules": "2026a"}),
    ],
)
def test_each_kind_of_difference_is_found(kind: str, name: str, first: dict[str, Any], second: dict[str, Any]) -> None:
    (found,) = differences([Published("a", **first), Published("b", **second)])
    assert (found.kind, found.name, found.odd) == (kind, name, {"b"})


@pytest.mark.parametrize("field", ["version", "zone_rules"])
def test_what_a_node_does_not_publish_is_not_compared(field: str) -> None:
    assert differences([Published("a"), Published("b", **{field: "1"})]) == []


def test_a_handler_is_missing_on_a_node_whether_most_know_it_or_not() -> None:
    found = differences([knows("a", "x", "y"), knows("b", "x"), knows("c", "x", "z")])
    assert [(each.name, each.odd) for each in found] == [("y", {"b", "c"}), ("z", {"a", "b"})]


def test_handlers_are_compared_among_nodes_of_the_same_roles_that_run_any() -> None:
    nodes = [knows("a", "x"), knows("b", "x"), knows("gpu", "render", roles=("gpu",)), knows("none")]
    assert differences(nodes) == []
    (found,) = differences([*nodes, knows("gpu-2", "encode", "render", roles=("gpu",))])
    assert (found.name, found.odd) == ("encode", {"gpu"})


def test_nodes_that_are_alike_have_the_same_hash_whatever_the_order() -> None:
    first = config_hash({"A": 1, "B": 2}, "1.0", "2026b", ["x", "y"])
    assert first == config_hash({"B": 2, "A": 1}, "1.0", "2026b", ("y", "x", "x"))
    assert len(first) == 12


@pytest.mark.parametrize(
    "other",
    [({"A": 2}, "1.0", "2026b", ["x"]), ({"A": 1}, "1.1", "2026b", ["x"]), ({"A": 1}, "1.0", "2026c", ["x"]),
     ({"A": 1}, "1.0", "2026b", ["y"]), ({}, "1.0", "2026b", ["x"])],
)  # fmt: skip
def test_the_hash_changes_with_each_part(other: tuple[Any, ...]) -> None:
    assert config_hash(*other) != config_hash({"A": 1}, "1.0", "2026b", ["x"])
