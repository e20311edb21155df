from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from timers import clock
from timers.clock import DatabaseClock
from timers.schedules.instant import to_microseconds
from timers.testing import START, VirtualTime


@pytest.mark.django_db
def test_the_database_tells_the_time() -> None:
    before = clock.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (between,) = cursor.fetchone()
    assert before < between < clock.now()
    assert before.utcoffset() == timedelta(0)


@pytest.mark.django_db
def test_time_passes_within_a_transaction() -> None:
    assert len({clock.now() for _ in range(3)}) == 3


@pytest.mark.django_db
def test_virtual_time_stands_until_it_is_moved_and_ends_with_its_setting() -> None:
    virtual = VirtualTime()
    assert clock.now() == clock.now() == START
    virtual.advance(1.5, days=2)
    assert clock.now() == START + timedelta(days=2, seconds=1.5)
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('timers.virtual_now', '', false)")
    assert abs((clock.now() - datetime.now(UTC)).total_seconds()) < 60


def test_the_running_estimate_is_never_ahead_of_its_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    ns = 1_000_000_000_999
    monkeypatch.setattr(time, "monotonic_ns", lambda: ns)
    estimate = DatabaseClock(START)
    assert estimate.now_us() == to_microseconds(START)
    ns += 2_500_000
    assert estimate.now_us() == to_microseconds(START) + 2_500
    estimate.set(START - timedelta(hours=1))
    assert estimate.now_us() == to_microseconds(START - timedelta(hours=1))


def test_an_instant_is_found_again_on_the_monotonic_clock() -> None:
    estimate = DatabaseClock(START)
    ahead_us = estimate.now_us() + 10_000_000
    assert estimate.monotonic_at(ahead_us) - time.monotonic() == pytest.approx(10, abs=0.5)
