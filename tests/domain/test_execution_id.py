from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timers.domain.execution_id import (
    MAX_TIMER_ID,
    MAX_TRIES,
    ORIGINS,
    Occurrence,
    execution_id,
    lower_bound,
    origin_of,
    parse,
    try_id,
)
from timers.schedules.instant import to_microseconds

LAST_US = to_microseconds(datetime.max.replace(tzinfo=UTC))
instants = st.integers(0, LAST_US)
timers = st.integers(1, MAX_TIMER_ID)


@given(instants, timers, st.sampled_from(ORIGINS), st.integers(0, 255), st.integers(0, MAX_TRIES))
def test_everything_comes_back_from_an_id(instant: int, timer: int, origin: str, ordinal: int, seq: int) -> None:
    id_ = try_id(execution_id(instant, timer, origin, ordinal), seq)
    assert parse(id_) == Occurrence(instant, timer, origin, ordinal, seq)


@given(instants, timers)
def test_an_id_is_a_canonical_uuid_of_version_8(instant: int, timer: int) -> None:
    id_ = execution_id(instant, timer)
    assert str(uuid.UUID(id_)) == id_
    assert uuid.UUID(id_).version == 8
    assert uuid.UUID(id_).variant == uuid.RFC_4122


@given(instants, instants, timers, timers)
def test_ids_sort_by_instant(one: int, other: int, a: int, b: int) -> None:
    if one < other:
        assert execution_id(one, a) < execution_id(other, b)


@given(instants, timers)
def test_tries_lie_beside_their_execution_in_order(instant: int, timer: int) -> None:
    id_ = execution_id(instant, timer)
    following = execution_id(instant, timer, "schedule", 1)
    assert id_ < try_id(id_, 1) < try_id(id_, 2) < try_id(id_, 1000) < following


@given(instants, timers)
def test_the_lower_bound_of_an_instant_divides_before_from_after(instant: int, timer: int) -> None:
    millisecond = instant - instant % 1000
    assert lower_bound(instant) <= execution_id(instant, timer)
    if millisecond:
        assert execution_id(millisecond - 1, timer) < lower_bound(instant)


def test_the_same_occurrence_has_the_same_id_whoever_computes_it() -> None:
    moment = to_microseconds(datetime(2027, 3, 1, 12, 0, 0, 123456, tzinfo=UTC))
    assert execution_id(moment, 7) == "01a400f6-367b-8720-8000-0000001c0000"


@pytest.mark.parametrize(
    "text", ["", "x", "5", str(uuid.UUID(int=0)), "01a400f6-367b-4720-8000-0000001c0000", "f" * 33, "01a4-", "²"]
)
def test_what_is_no_execution_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"execution id|base 16"):
        parse(text)


def test_a_random_uuid_is_no_execution_id() -> None:
    with pytest.raises(ValueError, match="is not an execution id"):
        parse(str(uuid.uuid4()))


@pytest.mark.parametrize("origin", ORIGINS)
def test_origin_is_read_without_the_rest_of_the_id(origin: str) -> None:
    assert origin_of(execution_id(1_700_000_000_000_123, 55, origin)) == origin
