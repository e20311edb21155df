from __future__ import annotations

import math
from typing import Any

import pytest

from tests import factories
from timers import clock
from timers.insights.rates import quantile, rates

BUCKETS = 11


def histogram(**counts: int) -> list[int]:
    return [counts.get(f"b{place}", 0) for place in range(BUCKETS)]


def test_a_quantile_lies_inside_its_bucket() -> None:
    assert quantile(histogram(b0=100), 0.5) == pytest.approx(5)
    assert quantile(histogram(b0=90, b3=10), 0.99) == pytest.approx(100 + 150 * 0.9)


def test_a_quantile_beyond_the_last_bound_is_unbounded() -> None:
    assert quantile(histogram(b0=1, b10=99), 0.5) == math.inf


def test_a_quantile_never_lies_above_the_greatest_value() -> None:
    assert quantile(histogram(b9=1), 0.99, 29_000) == pytest.approx(15_000 + 14_000 * 0.99)
    assert quantile(histogram(b10=1), 0.99, 70_000) == pytest.approx(60_000 + 10_000 * 0.99)
    assert quantile(histogram(b0=99, b9=1), 0.5, 29_000) == pytest.approx(10 * 50 / 99)


@pytest.mark.django_db
def test_the_greatest_lateness_of_all_nodes_bounds_the_rates() -> None:
    group = factories.group()
    factories.minute(group, ago=2, lateness=histogram(b9=60), lateness_max_ms=29_000, by=1)
    factories.minute(group, ago=1, lateness=histogram(b9=60), lateness_max_ms=20_000, by=2)

    p99 = rates(clock.now()).lateness_p99_ms

    assert p99 is not None
    assert 28_000 < p99 <= 29_000


@pytest.mark.django_db
def test_counts_that_tell_no_greatest_are_bounded_by_their_bucket() -> None:
    factories.minute(factories.group(), lateness=histogram(b9=60))

    assert rates(clock.now()).lateness_p99_ms == pytest.approx(15_000 + 45_000 * 0.99)


def test_nothing_has_no_quantile() -> None:
    assert quantile(histogram(), 0.99) is None


@pytest.mark.django_db
def test_tries_that_are_followed_by_others_are_no_failures() -> None:
    factories.minute(factories.group(), ago=2, succeeded=9, retried=6, failed=1)

    assert rates(clock.now(), minutes=5).success == pytest.approx(0.9)


@pytest.mark.django_db
def test_all_nodes_are_added_up_minute_by_minute() -> None:
    group = factories.group()
    factories.minute(group, ago=2, succeeded=10, by=1)
    factories.minute(group, ago=2, succeeded=20, failed=2, by=2)

    found = rates(clock.now(), minutes=5)

    assert len(found.minutes) == 5
    assert [minute.tries for minute in found.minutes][2] == 32
    assert found.success == pytest.approx(30 / 32)
    assert found.lateness_p99_ms is not None
    assert found.lateness_p99_ms <= 10


@pytest.mark.django_db
def test_the_last_sixty_seconds_reach_into_the_minute_before() -> None:
    group = factories.group()
    factories.minute(group, ago=0, succeeded=15)
    factories.minute(group, ago=1, succeeded=60)
    a_quarter_past = clock.now().replace(second=15, microsecond=0)

    assert rates(a_quarter_past).per_minute == pytest.approx(15 + 60 * 0.75)


@pytest.mark.django_db
def test_a_stretch_without_tries_has_no_rates() -> None:
    found = rates(clock.now())

    assert (found.per_minute, found.success, found.lateness_p50_ms) == (0, None, None)
    assert len(found.minutes) == 60


@pytest.mark.django_db
def test_one_group_counts_its_own_alone_and_old_minutes_not_at_all(django_assert_num_queries: Any) -> None:
    mine, other = factories.group(), factories.group()
    factories.minute(mine, succeeded=5)
    factories.minute(other, succeeded=7)
    factories.minute(mine, ago=90, succeeded=9)
    now = clock.now()

    with django_assert_num_queries(1):
        found = rates(now, group_id=mine.id)
    assert sum(minute.tries for minute in found.minutes) == 5
