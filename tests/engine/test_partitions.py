from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.db import connection

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.sessions import OtherSession
from timers import conf
from timers.control.operations import start_operation
from timers.engine import partitions
from timers.engine.prune import prune
from timers.models import Attempt, BulkOperation, ClusterEvent, Node, StatsMinute, Timer, TimerGroup
from timers.scheduling import schedule_once
from timers.testing import START, Stepper, VirtualTime

TODAY: date = START.date()
DAY = 86_400


@pytest.fixture(autouse=True)
def _(time: VirtualTime, handlers: TemporaryHandlers) -> None:
    """Every test here has virtual time."""


def rows_in(partition: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT count(*) FROM "{partition}"')
        (number,) = cursor.fetchone()
    return int(number)


def history(timer: Timer, *days_ago: float) -> None:
    for days in days_ago:
        factories.attempt(timer, ago=days * DAY)


def test_a_partition_a_day_is_created_ahead_and_only_once() -> None:
    created = partitions.create_ahead(TODAY, 3)
    assert created == [
        "timers_attempt_20270228",
        "timers_attempt_20270301",
        "timers_attempt_20270302",
        "timers_attempt_20270303",
        "timers_attempt_20270304",
    ]
    assert partitions.create_ahead(TODAY, 3) == []
    assert partitions.create_ahead(TODAY + timedelta(days=1), 3) == ["timers_attempt_20270305"]


def test_rows_go_to_the_partition_of_their_instant() -> None:
    partitions.create_ahead(TODAY, 1)
    timer = factories.timer()
    history(timer, 0.1, 0.49, 0.51, 40)
    assert rows_in("timers_attempt_20270301") == 2
    assert rows_in("timers_attempt_20270228") == 1
    assert rows_in("timers_attempt_default") == 1
    assert Attempt.objects.count() == 4


def test_stragglers_move_from_the_default_partition_when_their_day_gets_its_own() -> None:
    timer = factories.timer()
    history(timer, 0.1, 0.2, 40)
    before = sorted(Attempt.objects.values_list("id", "outcome", "name", "scheduled_for"))
    partitions.create_ahead(TODAY, 1)
    assert rows_in("timers_attempt_20270301") == 2
    assert rows_in("timers_attempt_default") == 1
    assert sorted(Attempt.objects.values_list("id", "outcome", "name", "scheduled_for")) == before


def test_the_engine_writes_on_while_partitions_come_and_go(time: VirtualTime) -> None:
    factories.group("work")
    node = Stepper(time)
    for day in range(4):
        partitions.create_ahead(time.now.date(), 1)
        partitions.drop_before(time.now.date(), 1)
        schedule_once("work", f"{day}", after=1)
        time.advance(1)
        node.until_idle()
        time.advance(days=1)
    assert sorted(Attempt.objects.values_list("name", flat=True)) == ["2", "3"]


def test_retention_drops_whole_days() -> None:
    for back in range(6):
        partitions.create_ahead(TODAY - timedelta(days=back), 0)
    timer = factories.timer()
    history(timer, 1, 2, 3, 4, 5)
    assert partitions.drop_before(TODAY, 3) == [
        "timers_attempt_20270223",
        "timers_attempt_20270224",
        "timers_attempt_20270225",
    ]
    assert Attempt.objects.count() == 3
    assert partitions.drop_before(TODAY, 3) == []


def test_a_group_that_keeps_its_history_longer_keeps_the_days() -> None:
    for back in range(6):
        partitions.create_ahead(TODAY - timedelta(days=back), 0)
    factories.group(retention=5)
    assert partitions.drop_before(TODAY, 2) == ["timers_attempt_20270223"]
    assert partitions.drop_before(TODAY, 2) == []


def test_others_lose_their_rows_though_the_days_are_kept_for_one_group() -> None:
    for back in range(6):
        partitions.create_ahead(TODAY - timedelta(days=back), 0)
    keeps, plain = factories.timer(in_group=factories.group(retention=30)), factories.timer()
    for timer in (keeps, plain):
        history(timer, 1, 5)
    partitions.delete_stragglers(TODAY, 3)
    assert Attempt.objects.filter(timer_id=keeps.id).count() == 2
    assert Attempt.objects.filter(timer_id=plain.id).count() == 1


def test_a_straggler_of_a_group_that_keeps_longer_stays() -> None:
    timer = factories.timer(in_group=factories.group(retention=60))
    history(timer, 31, 61)
    assert partitions.delete_stragglers(TODAY, 30) == 1
    assert Attempt.objects.count() == 1


def test_a_group_that_keeps_less_loses_its_rows_alone() -> None:
    partitions.create_ahead(TODAY, 0)
    hasty, plain = factories.timer(in_group=factories.group(retention=1)), factories.timer()
    for timer in (hasty, plain):
        history(timer, 0.1, 0.6, 1.6, 3)
    assert partitions.delete_stragglers(TODAY, 30) == 2
    assert Attempt.objects.filter(timer_id=hasty.id).count() == 2
    assert Attempt.objects.filter(timer_id=plain.id).count() == 4


def test_stragglers_past_retention_leave_the_default_partition() -> None:
    timer = factories.timer()
    history(timer, 1, 31, 400)
    assert partitions.delete_stragglers(TODAY, 30) == 2
    assert Attempt.objects.count() == 1


def test_pruning_makes_room_and_removes_what_is_old_of_every_kind() -> None:
    group: TimerGroup = factories.group()
    for ago in (1, 31 * 1440):
        factories.minute(group, ago=ago)
    factories.event()
    ClusterEvent.objects.create(at=START - timedelta(days=31), kind="old", node="", detail="")
    old = factories.node(state="dead", ended_at=START - timedelta(days=8))
    recent = factories.node(state="stopped", ended_at=START - timedelta(days=6))
    alive = factories.node(beat_ago=9 * DAY)
    ended = start_operation("retry", {"all": True}).id
    start_operation("retry", {"all": True})
    BulkOperation.objects.filter(id=ended).update(ended_at=START - timedelta(days=31))
    pruned = prune(conf.load({"TIMERS_PARTITIONS_AHEAD": 2}))
    assert pruned is not None
    assert len(pruned.created) == 4
    assert pruned.rows == 4
    assert BulkOperation.objects.exclude(id=ended).count() == BulkOperation.objects.count() == 1
    assert StatsMinute.objects.count() == 1
    assert list(ClusterEvent.objects.values_list("kind", flat=True)) == ["node joined"]
    assert set(Node.objects.values_list("id", flat=True)) == {recent.id, alive.id}
    assert old.id


def test_only_one_node_prunes_at_a_time(committed: None) -> None:
    with OtherSession() as session:

        def lock() -> None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_lock(hashtext('timers prune'))")

        session.run(lock)
        # What must not wait is done all the same: the partitions of the days to come.
        assert prune(conf.load({})) is None
        assert "timers_attempt_20270301" in partitions.names()
    for name in partitions.names():
        if name != partitions.DEFAULT:
            with connection.cursor() as cursor:
                cursor.execute(f'DROP TABLE "{name}"')
