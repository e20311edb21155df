from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.db import DatabaseError, connection, transaction

from timers import clock
from timers.exceptions import InvalidRequest
from timers.testing import START, VirtualTime

pytestmark = pytest.mark.django_db


def seconds_from_real_time() -> float:
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM timers_now() - clock_timestamp())::float")
        (seconds,) = cursor.fetchone()
    return abs(float(seconds))


def test_the_clock_of_the_session_stands_still_until_it_is_moved(timers_time: VirtualTime) -> None:
    assert [clock.now(), clock.now()] == [START, START]

    timers_time.advance(1, minutes=2, hours=3, days=4)

    assert clock.now() == START + timedelta(days=4, hours=3, minutes=2, seconds=1)
    assert timers_time.us == round(clock.now().timestamp() * 1_000_000)


@pytest.mark.parametrize(
    "moment",
    [
        "2028-02-29T01:00:00+01:00",
        "2028-02-29T00:00:00Z",
        datetime(2028, 2, 29, 1, tzinfo=timezone(timedelta(hours=1))),
    ],
)
def test_an_instant_is_text_with_an_offset_or_an_aware_datetime(timers_time: VirtualTime, moment: datetime) -> None:
    timers_time.set(moment)

    assert clock.now() == timers_time.now == datetime(2028, 2, 29, tzinfo=UTC)
    assert timers_time.now.tzinfo is UTC


@pytest.mark.parametrize("moment", ["2028-02-29T00:00:00", datetime(2028, 2, 29), "tomorrow"])
def test_an_instant_without_a_zone_is_refused(timers_time: VirtualTime, moment: datetime) -> None:
    with pytest.raises(InvalidRequest, match="moment"):
        timers_time.set(moment)

    assert clock.now() == timers_time.now == START


def test_the_session_has_its_real_clock_back_after_the_block() -> None:
    with VirtualTime("2028-02-29T00:00:00Z"):
        assert clock.now().year == 2028

    assert seconds_from_real_time() < 5


def test_a_transaction_that_broke_in_the_block_hides_no_error_of_its_own() -> None:
    error = pytest.raises(DatabaseError, match="division by zero")
    with error, transaction.atomic(), VirtualTime(), connection.cursor() as cursor:
        cursor.execute("SELECT 1 / 0")

    assert seconds_from_real_time() < 5
