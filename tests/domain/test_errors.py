from __future__ import annotations

import pytest

from timers.domain.errors import ErrorCollector, nearest, unknown
from timers.exceptions import InvalidRequest


def wrong(field: str) -> None:
    raise InvalidRequest(field, "makes no sense")


def test_all_that_was_noted_is_told_in_one_error_and_nothing_twice() -> None:
    mistakes = ErrorCollector()
    mistakes.refuse_unknown({"colour": "red", "name": 1}, ("name",), within="own.", where="here")
    assert mistakes.check(lambda: wrong("a"), "instead") == "instead"
    mistakes.check(lambda: wrong("a"))
    assert mistakes.check(lambda: 5) == 5
    with pytest.raises(InvalidRequest) as refused:
        mistakes.raise_if_any()
    assert str(refused.value) == "own.colour: is not known here; known are name; a: makes no sense"


def test_where_nothing_was_noted_nothing_is_told() -> None:
    mistakes = ErrorCollector()
    mistakes.refuse_unknown(["name"], ("name",))
    assert not mistakes
    mistakes.raise_if_any()


def test_what_is_not_known_is_told_with_the_nearest_or_all_that_are() -> None:
    assert str(unknown("perid", ("period", "delay"))) == "perid: is not known; did you mean period?"
    assert str(unknown("x", ("period", "delay"))) == "x: is not known; known are delay, period"
    assert nearest("dayOfMonth", ("day_of_month", "day_of_week")) == "day_of_month"


def test_what_is_only_told_is_told_to_be_left_out() -> None:
    known = ("start_at", "delay")
    assert str(unknown("created_at", known)) == "created_at: is read-only; remove it"
    assert str(unknown("state", known, within="retry.")) == "retry.state: is not known; did you mean start_at?"


def test_so_many_unknown_names_are_not_all_told_nor_at_their_length() -> None:
    mistakes = ErrorCollector()
    mistakes.refuse_unknown([f"{number:03}{'x' * 1000}" for number in range(1000)], ())
    with pytest.raises(InvalidRequest) as refused:
        mistakes.raise_if_any()
    assert len(refused.value.problems) == 20
    assert len(str(refused.value)) < 3000


def test_a_mistake_is_told_with_the_path_of_what_it_stands_in() -> None:
    with pytest.raises(InvalidRequest) as refused:
        wrong("retry.jitter")
    assert refused.value.within("overrides").field == "overrides.retry.jitter"
