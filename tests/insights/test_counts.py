from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from tests import factories
from timers import clock
from timers.insights import counts
from timers.insights.counts import Count
from timers.insights.groups import groups

pytestmark = pytest.mark.django_db


def test_what_waits_is_counted_by_state() -> None:
    timer = factories.timer()
    factories.waiting(timer, ago=1)
    factories.waiting(timer, "ready", ago=2)
    factories.waiting(timer, "ready", ago=3)

    waits = counts.waiting()

    assert (str(waits.failed), str(waits.ready)) == ("1", "2")


def test_counting_stops_at_the_cap_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "CAP", 2)
    timer = factories.timer()
    for ago in range(1, 5):
        factories.waiting(timer, ago=ago)

    assert counts.waiting().failed == Count(2, capped=True)
    assert str(Count(1000, capped=True)) == "1,000+"


def test_only_active_timers_of_active_groups_are_overdue_and_not_at_once() -> None:
    factories.timer(due_in=-60)
    factories.timer(due_in=-1)
    factories.timer(due_in=-60, state="paused")
    factories.timer(due_in=-60, in_group=factories.group(state="paused"))
    factories.timer(due_in=-60, in_group=factories.group(shards=3), shard=2)

    assert counts.overdue(clock.now()) == Count(2)


def test_what_waits_for_its_consumers_is_ready_and_not_overdue() -> None:
    pulled = factories.group("pulled", action={"kind": "pull"})
    for due_in in (-60, -1, 60):
        factories.timer(due_in=due_in, in_group=pulled)
    factories.waiting(factories.timer(in_group=pulled), "ready")

    assert counts.overdue(clock.now()) == Count(0)
    (row,) = groups(clock.now())
    assert (row.overdue, row.ready, row.active) == (Count(0), Count(3), Count(4))


def test_a_partitioned_table_is_estimated_by_its_partitions() -> None:
    timer = factories.timer()
    for ago in range(1, 8):
        factories.attempt(timer, ago=ago)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE timers_attempt")

    assert counts.estimated_rows("timers_attempt") == Count(7, estimated=True)
    assert counts.estimated_rows("timers_timer").estimated


@pytest.mark.parametrize(
    ("rows", "words"), [(7, "≈ 7"), (9_999, "≈ 9,999"), (84_300, "≈ 84.3 k"), (10_400_000, "≈ 10.4 M")]
)
def test_an_estimate_is_marked_as_such(rows: int, words: str) -> None:
    assert str(Count(rows, estimated=True)) == words


def test_no_count_costs_more_than_one_statement(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(3):
        counts.waiting()
        counts.overdue(factories.LONG_AGO)
        counts.estimated_rows("timers_attempt")
