from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timers.exceptions import InvalidRequest
from timers.schedules.instant import format_instant, from_microseconds, in_utc, parse_instant, to_microseconds

EXPECTED = datetime(2026, 11, 20, 15, 0, 27, tzinfo=UTC)
instants = st.datetimes(datetime(1970, 1, 1), datetime(8999, 12, 31), timezones=st.just(UTC))


@pytest.mark.parametrize(
    "given_value",
    [
        "2026-11-20T15:00:27Z",
        "2026-11-20t15:00:27z",
        "2026-11-20 15:00:27+00:00",
        "2026-11-20T16:00:27+01:00",
        "2026-11-20T20:30:27+0530",
        "2026-11-20T15:00:27.000Z",
        "2026-11-20T15:00:27,0Z",
        "2026-11-20T15:00:27.000000000Z",
        EXPECTED,
        datetime(2026, 11, 20, 16, 0, 27, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime(2026, 11, 20, 10, 0, 27, tzinfo=timezone(timedelta(hours=-5))),
    ],
)
def test_the_same_instant_is_understood_however_it_is_written(given_value: Any) -> None:
    instant = parse_instant(given_value, "at")
    assert instant == EXPECTED
    assert instant.tzinfo is UTC


def test_microseconds_are_kept() -> None:
    assert parse_instant("2026-11-20T15:00:27.000001Z", "at").microsecond == 1


@pytest.mark.parametrize(
    ("given_value", "reason"),
    [
        (datetime(2026, 11, 20, 15, 0, 27), "has no time zone"),
        ("2026-11-20T15:00:27", "has no time zone"),
        ("2026-11-20", "has no time zone"),
        ("2026-11-20T24:00:00Z", "has hour 24"),
        ("2026-11-20T23:59:60Z", "leap second"),
        ("2026-11-20T15:00:27.0000001Z", "finer than a microsecond"),
        ("9000-01-01T00:00:00Z", "years 1970 to 8999"),
        ("9999-12-31T23:59:59Z", "years 1970 to 8999"),
        ("10000-01-01T00:00:00Z", "years 1970 to 8999"),
        ("9999-12-31T23:59:59-01:00", "years 1970 to 8999"),
        ("1969-12-31T23:59:59Z", "years 1970 to 8999"),
        ("1970-01-01T00:00:00+01:00", "years 1970 to 8999"),
        ("0000-01-01T00:00:00Z", "is not an instant"),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=5))), "years 1970 to 8999"),
        (datetime.max.replace(tzinfo=timezone(timedelta(hours=-5))), "years 1970 to 8999"),
        ("2026-02-29T00:00:00Z", "is not an instant"),
        ("2026-13-01T00:00:00Z", "is not an instant"),
        ("2026-11-20T15:60:00Z", "is not an instant"),
        ("2026-11-20T15:00:00+99:99", r"no clock is off by \+99:99; write Z, or hours up to 23"),
        ("2026-11-20T15:00:00-2400", "no clock is off by -2400"),
        ("2026-11-20T15:00:00+12:60", r"no clock is off by \+12:60"),
        ("2026-W47-5T15:00:27Z", "must be an instant"),
        ("20261120T150027Z", "must be an instant"),
        ("-2026-11-20T15:00:27Z", "must be an instant"),
        ("٢٠٢٦-11-20T15:00:27Z", "must be an instant"),
        (" 2026-11-20T15:00:27Z", "must be an instant"),
        ("2026-11-20T15:00:27Z\0", "must be an instant"),
        ("2026-11-20T15:00:27Z\n", "must be an instant"),
        ("infinity", "must be an instant"),
        ("now", "must be an instant"),
        ("", "must be an instant"),
        ("9" * 100_000, "must be an instant"),
        (float("inf"), "must be an instant"),
        (1_795_000_000, "must be an instant"),
        (True, "must be an instant"),
        (None, "must be an instant"),
        (date(2026, 11, 20), "must be an instant"),
        ([], "must be an instant"),
    ],
)
def test_what_is_no_instant_is_refused_with_the_reason(given_value: Any, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason) as refused:
        parse_instant(given_value, "start_at")
    assert refused.value.field == "start_at"


@given(instants)
def test_an_instant_survives_microseconds_and_text_exactly(instant: datetime) -> None:
    assert from_microseconds(to_microseconds(instant)) == instant
    assert parse_instant(format_instant(instant), "at") == instant


def test_a_naive_datetime_is_never_taken_for_the_zone_of_this_machine() -> None:
    with pytest.raises(TypeError, match="without time zone"):
        in_utc(datetime(2026, 11, 20))
