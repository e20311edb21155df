"""A change of the leader and a fire of the leader before want the same row; what each of them gets."""

from __future__ import annotations

import pytest
from django.db import connection

from tests.support.sessions import OtherSession, in_threads
from timers.domain.cluster_modes import NodeMode
from timers.engine import nodes
from timers.engine.death import declare_dead
from timers.engine.leadership import lock, settle
from timers.engine.nodes import Beat, beat, register
from timers.exceptions import NotAllowedNow
from timers.models import ClusterEvent, Leadership, Node, TimerGroup
from timers.scheduling import schedule_once
from timers.testing import Stepper, VirtualTime, registration

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def pair(group: TimerGroup, time: VirtualTime) -> tuple[Stepper, Stepper]:
    """A primary that leads and its backup, and a timer that is due."""
    first = Stepper(time, "primary", mode=NodeMode("exclusive"))
    second = Stepper(time, "backup", mode=NodeMode("backup", 1))
    assert [first.beat(), second.beat()] == [True, False]
    schedule_once("work", "due", after=1)
    time.advance(1)
    return first, second


def dies(node: Stepper) -> None:
    node.node.refresh_from_db()
    assert declare_dead(node.node, "no heartbeat")


def test_a_takeover_waits_for_a_fire_that_has_begun(pair: tuple[Stepper, Stepper], time: VirtualTime) -> None:
    first, second = pair
    second._beats = False
    with OtherSession(time.now) as session, OtherSession(time.now) as judge:
        session.begin()
        first._beats = False
        assert len(session.run(first.claim)) == 1
        dies(first)
        takeover = judge.start(lambda: settle("default"))
        judge.waits_for_a_lock()
        assert second.claim() == []
        session.commit()
        assert takeover.result(10) is not None
    # What was fired under the first epoch is not fired again.
    assert second.claim() == []


def test_a_fire_that_begins_during_a_takeover_takes_nothing_and_does_not_wait(
    pair: tuple[Stepper, Stepper], time: VirtualTime
) -> None:
    first, second = pair
    first._beats = second._beats = False
    with OtherSession(time.now) as session:
        dies(first)
        session.begin()
        assert session.run(lambda: settle("default")) is not None
        assert first.claim() == []
        session.commit()
    assert len(second.claim()) == 1


def test_a_heartbeat_of_the_leader_does_not_wait_for_its_fires(
    pair: tuple[Stepper, Stepper], time: VirtualTime
) -> None:
    first, _ = pair
    with OtherSession(time.now) as session:
        session.begin()
        first._beats = False
        assert len(session.run(first.claim)) == 1
        assert first.beat()
        session.rollback()


def test_a_heartbeat_of_the_leader_does_not_wait_for_a_change_of_the_leader(
    pair: tuple[Stepper, Stepper], time: VirtualTime
) -> None:
    first, _ = pair
    with OtherSession(time.now) as session:
        session.begin()
        session.run(lambda: lock("default"))
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '100ms'")
        renewed = beat(first.node.id, 10, Beat(0.0, 0, 0, 0, {}))
        assert renewed is not None and renewed.leads
        session.rollback()


def test_of_many_that_notice_a_death_at_once_one_appoints_the_leader(
    pair: tuple[Stepper, Stepper], time: VirtualTime
) -> None:
    first, _ = pair
    dies(first)

    def notice(number: int) -> bool:
        time.show()
        return settle("default") is not None

    assert sorted(in_threads(4, notice), key=bool) == [False, False, False, True]
    assert Leadership.objects.get().epoch == 2
    assert ClusterEvent.objects.filter(kind="lead taken").count() == 2


def test_a_stop_and_a_failback_at_once_do_not_block_each_other(
    pair: tuple[Stepper, Stepper], time: VirtualTime
) -> None:
    first, _ = pair

    def end(number: int) -> None:
        time.show()
        if number:
            settle("default")
        else:
            nodes.set_stopped(first.node.id, "primary")

    nodes.set_draining(first.node.id)
    assert in_threads(2, end) == [None, None]
    settle("default")
    row = Leadership.objects.select_related("node").get()
    assert row.node is not None and row.node.name == "backup"


def test_of_two_exclusive_nodes_that_start_at_once_one_is_refused(group: TimerGroup, time: VirtualTime) -> None:
    def start(number: int) -> str:
        time.show()
        return register(registration(f"node-{number}", mode=NodeMode("exclusive"))).name

    refused = [each for each in in_threads(2, start) if isinstance(each, NotAllowedNow)]
    assert len(refused) == 1
    assert Node.objects.count() == 1
