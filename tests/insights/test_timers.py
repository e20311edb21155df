from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from tests import factories
from timers import clock
from timers.insights import timers
from timers.scheduling import schedule_many

pytestmark = pytest.mark.django_db


def test_the_soonest_of_all_groups_and_shards_come_in_order() -> None:
    one, two = factories.group(), factories.group(shards=4)
    factories.timer("third", in_group=one, due_in=30)
    factories.timer("first", in_group=two, due_in=10, shard=3)
    factories.timer("second", in_group=two, due_in=20, shard=0)

    assert [timer.name for timer in timers.soonest(2)] == ["first", "second"]


def test_what_will_not_fire_is_left_out() -> None:
    factories.timer("paused", state="paused")
    factories.timer("of a paused group", in_group=factories.group(state="paused"))
    factories.timer("finished", state="finished", next_fire_at=None)

    assert timers.soonest() == []


def test_what_consumers_may_pull_already_stands_before_nothing_that_is_still_to_come() -> None:
    pulled, worked = factories.group(action={"kind": "pull"}), factories.group()
    factories.timer("waits for a consumer", in_group=pulled, due_in=-60)
    factories.timer("overdue", in_group=worked, due_in=-50)
    factories.timer("will be pulled", in_group=pulled, due_in=20)
    factories.timer("next", in_group=worked, due_in=10)

    assert [timer.name for timer in timers.soonest(9)] == ["overdue", "next", "will be pulled"]


def test_pages_hold_each_timer_once_even_at_one_instant() -> None:
    group, instant = factories.group(shards=3), clock.now() + timedelta(hours=1)
    for number in range(7):
        factories.timer(f"t{number}", in_group=group, next_fire_at=instant, shard=number % 3)
    seen: list[str] = []
    after = None
    while page := timers.next_fires(after=after, limit=3):
        seen += [timer.name for timer in page]
        last = page[-1]
        assert last.next_fire_at is not None
        after = timers.Position(last.next_fire_at, last.id)

    assert sorted(seen) == [f"t{number}" for number in range(7)]


def test_next_fires_of_one_group_only() -> None:
    group = factories.group("wanted")
    factories.timer("mine", in_group=group)
    factories.timer("other")

    assert [timer.name for timer in timers.next_fires(group="wanted")] == ["mine"]


def test_a_timer_is_found_by_group_and_name() -> None:
    row = factories.timer("it", in_group=factories.group("here"))

    found = timers.timer("here", "it")

    assert found is not None
    assert (found.id, found.schedule) == (row.id, "every 1 h")
    assert timers.timer("here", "other") is None


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("schedule", factories.POISON),
        ("schedule", "[" * 5000 + "]" * 5000),
        ("schedule", "[]"),
        ("schedule_kind", "lunar"),
        ("time_zone", "Mars/Base"),
    ],
)
def test_a_schedule_that_cannot_be_read_says_so_and_hides_no_other(column: str, text: str) -> None:
    spoilt = factories.timer("spoilt", due_in=5)
    factories.timer("good", due_in=10)
    factories.spoil(spoilt, column, text)

    first, second = timers.soonest()

    assert first.schedule.startswith("unreadable: ")
    assert second.schedule == "every 1 h"


def test_the_statements_are_as_many_for_one_timer_as_for_many(django_assert_num_queries: Any) -> None:
    for _ in range(20):
        factories.timer()

    with django_assert_num_queries(1):
        assert len(timers.soonest()) == 10


@pytest.mark.django_db(transaction=True)
def test_the_soonest_are_read_from_the_due_index_alone() -> None:
    factories.node(handlers=["tests.noop"])
    name = factories.group().name
    schedule_many([{"kind": "once", "group": name, "name": f"{number}", "after": number} for number in range(2000)])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE timers_timer, timers_timer_group")
        statement = timers._SOONEST.format(after=timers._STILL_TO_COME, tie="", group="")
        cursor.execute("EXPLAIN " + statement, {"limit": 10})
        plan = "\n".join(line for (line,) in cursor.fetchall())

    assert "timers_timer_due" in plan
