"""Filters of subscriptions: what they let through, and what is no filter."""

from __future__ import annotations

from typing import Any

import pytest

from timers.domain.filters import Filter
from timers.exceptions import InvalidRequest

PAYLOAD = {
    "kind": "invoice",
    "total": 100,
    "paid": True,
    "note": None,
    "customer": {"id": 7, "name": "Ada"},
    "lines": [{"sku": "a"}, {"sku": "b"}],
}


@pytest.mark.parametrize(
    "condition",
    [
        {},
        {"kind": "invoice"},
        {"total": 100},
        {"total": 100.0},
        {"paid": True},
        {"note": None},
        {"customer.id": 7},
        {"lines.1.sku": "b"},
        {"kind": {"in": ["note", "invoice"]}},
        {"kind": {"not_in": ["note"]}},
        {"nothing": {"not_in": ["note"]}},
        {"nothing": {"exists": False}},
        {"note": {"exists": True}},
        {"total": {"at_least": 100, "at_most": 100.5}},
        {"kind": "invoice", "paid": True},
    ],
)
def test_it_lets_through_what_meets_all_conditions(condition: dict[str, Any]) -> None:
    assert Filter.parse({"payload": condition}).matches((), PAYLOAD)


@pytest.mark.parametrize(
    "condition",
    [
        {"kind": "note"},
        {"total": "100"},
        {"total": True},
        {"paid": 1},
        {"note": False},
        {"nothing": None},
        {"customer.id.x": 7},
        {"lines.2.sku": "b"},
        {"lines.-1.sku": "b"},
        {"lines.\u0661.sku": "b"},
        {"kind": {"not_in": ["invoice"]}},
        {"nothing": {"exists": True}},
        {"nothing": {"at_least": 0}},
        {"kind": {"at_least": 0}},
        {"paid": {"at_least": 0}},
        {"total": {"at_least": 100, "at_most": 99}},
        {"kind": "invoice", "paid": False},
    ],
)
def test_it_keeps_back_what_does_not(condition: dict[str, Any]) -> None:
    assert not Filter.parse({"payload": condition}).matches((), PAYLOAD)


@pytest.mark.parametrize("payload", [None, 1, "text", [], True])
def test_a_payload_of_any_kind_can_be_asked(payload: Any) -> None:
    assert not Filter.parse({"payload": {"kind": "invoice"}}).matches((), payload)
    assert Filter.parse(None).matches((), payload)


@pytest.mark.parametrize(
    ("condition", "tags", "passes"),
    [
        ({"any": ["eu", "us"]}, ["us"], True),
        ({"any": ["eu", "us"]}, [], False),
        ({"all": ["eu", "vip"]}, ["vip", "eu", "x"], True),
        ({"all": ["eu", "vip"]}, ["eu"], False),
        ({"none": ["test"]}, ["eu"], True),
        ({"none": ["test"]}, ["test"], False),
        ({"any": ["eu"], "none": ["test"]}, ["eu", "test"], False),
    ],
)
def test_tags_are_asked_for_any_all_or_none(condition: dict[str, Any], tags: list[str], passes: bool) -> None:
    assert Filter.parse({"tags": condition}).matches(tags, None) is passes


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ("tags", "filter"),
        ([], "filter"),
        ({"tag": {}}, "filter.tag"),
        ({"tags": ["eu"]}, "filter.tags"),
        ({"tags": {"some": ["eu"]}}, "filter.tags.some"),
        ({"tags": {"any": []}}, "filter.tags.any"),
        ({"tags": {"any": "eu"}}, "filter.tags.any"),
        ({"tags": {"any": [1]}}, "filter.tags.any"),
        ({"payload": []}, "filter.payload"),
        ({"payload": {"": 1}}, "filter.payload"),
        ({"payload": {"a..b": 1}}, "filter.payload"),
        ({"payload": {"a": [1]}}, "filter.payload.a"),
        ({"payload": {"a": {}}}, "filter.payload.a"),
        ({"payload": {"a": {"equals": 1}}}, "filter.payload.a.equals"),
        ({"payload": {"a": {"in": 1}}}, "filter.payload.a.in"),
        ({"payload": {"a": {"in": [{}]}}}, "filter.payload.a.in"),
        ({"payload": {"a": {"exists": 1}}}, "filter.payload.a.exists"),
        ({"payload": {"a": {"at_least": True}}}, "filter.payload.a.at_least"),
        ({"payload": {"a": {"at_most": float("nan")}}}, "filter.payload.a.at_most"),
        ({"payload": {"a": {"at_least": 10**400}}}, "filter.payload.a.at_least"),
        ({"payload": {"a": float("inf")}}, "filter.payload.a"),
        ({"payload": {"a": "\x00"}}, "filter.payload.a"),
        ({"payload": {f"{n}": n for n in range(51)}}, "filter"),
    ],
)
def test_what_is_no_filter_is_refused_by_its_place(spec: Any, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Filter.parse(spec)
    assert caught.value.field == field


def test_all_mistakes_are_told_at_once_with_the_nearest_word() -> None:
    with pytest.raises(InvalidRequest) as caught:
        Filter.parse({"tags": {"al": ["eu"]}, "payload": {"a": {"at_lest": 1}}})
    assert [problem.field for problem in caught.value.problems] == ["filter.tags.al", "filter.payload.a.at_lest"]
    assert "did you mean all?" in str(caught.value)
    assert "did you mean at_least?" in str(caught.value)
