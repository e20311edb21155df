from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from timers.exceptions import InvalidRequest
from timers.schedules import Missed, parse

AT = datetime(2026, 11, 20, 14, 0, 27, tzinfo=UTC)
TICK = timedelta(microseconds=1)


def test_it_is_due_at_its_instant_and_never_again() -> None:
    once = parse("once", {"at": "2026-11-20T14:00:27Z"})
    assert once.first(AT - TICK) == once.first(AT) == once.next_after(AT - TICK) == AT
    assert once.first(AT + TICK) is None
    assert once.next_after(AT) is None


def test_what_was_missed_is_that_one_instant() -> None:
    assert parse("once", {"at": AT}).missed(AT, AT + timedelta(days=365)) == Missed(AT, 1)


def test_it_says_its_instant_on_the_clock_of_its_zone() -> None:
    once = parse("once", {"at": AT}, "Europe/Berlin")
    assert once.describe() == "once at 2026-11-20 15:00:27 Europe/Berlin"


def test_its_spec_is_canonical() -> None:
    once = parse("once", {"at": "2026-11-20T15:00:27.5+01:00"}, "Europe/Berlin")
    assert once.to_spec() == {"at": "2026-11-20T14:00:27.500000Z"}


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({}, "at"),
        ({"at": None}, "at"),
        ({"at": datetime(2026, 11, 20)}, "at"),
        ({"at": "10000-01-01T00:00:00Z"}, "at"),
        ({"at": AT, "period": 5}, "period"),
    ],
)
def test_a_spec_that_makes_no_sense_is_refused_by_field(spec: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse("once", spec)
    assert refused.value.field == field


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="did you mean Europe/Berlin") as refused:
        parse("once", {"at": AT}, "Europe/Berln")
    assert refused.value.field == "time_zone"
