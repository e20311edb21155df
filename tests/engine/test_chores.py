"""Chores: housekeeping finds by one query what there is to do, and nothing while there is nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import factories
from timers.consuming import claim
from timers.control.cluster_pause import pause_cluster, pause_partition
from timers.domain.cluster_modes import NodeMode
from timers.engine.chores import Chores, find_chores
from timers.engine.nodes import register
from timers.models import Claim, TimerGroup
from timers.scheduling import pause_group, pause_timer, schedule_fixed_rate, schedule_once, update_group
from timers.testing import START, Stepper, VirtualTime, registration

SECOND = timedelta(seconds=1)
NOTHING = Chores(
    now=START, is_virtual=True, is_held=False, stepped_at=None, needs_leader=False, has_operations=False,
    has_unclaimed=False, seconds_to_consumer_lease=None, seconds_to_resume=None,
    paused_claims=[],
)  # fmt: skip


@pytest.fixture(autouse=True)
def _time(time: VirtualTime) -> None:
    """A clock that stands at START."""


def test_a_cluster_without_work_needs_one_query_and_has_no_chore(group: TimerGroup) -> None:
    schedule_fixed_rate("work", "rate", period=10)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert find_chores("default") == NOTHING
    assert len(queries) == 1


def _lead_group() -> None:
    update_group("work", placement="lead")


def _passive_node() -> None:
    register(replace(registration("primary"), mode=NodeMode("exclusive")))


@pytest.mark.parametrize("make", [_lead_group, _passive_node])
def test_a_leader_is_needed_by_a_lead_group_and_by_passive_nodes(group: TimerGroup, make: Callable[[], None]) -> None:
    make()
    assert find_chores("default").needs_leader
    assert not find_chores("another").needs_leader, "it is of its partition alone"


def test_pulled_groups_with_due_timers_are_found_by_the_clock_of_their_group(time: VirtualTime) -> None:
    factories.group("mail", action={"kind": "pull"})
    schedule_once("mail", "m", after=5)
    assert not find_chores("default").has_unclaimed
    time.advance(5)
    assert find_chores("default").has_unclaimed
    pause_group("mail")
    assert not find_chores("default").has_unclaimed


def test_the_first_lease_of_a_consumer_is_found(time: VirtualTime) -> None:
    factories.group("mail", action={"kind": "pull"})
    for name, lease in (("a", 30), ("b", 10)):
        schedule_once("mail", name, after=0)
        claim("mail", "sender", lease=lease)
    time.advance(4)
    assert find_chores("default").seconds_to_consumer_lease == 6
    time.advance(7)
    assert find_chores("default").seconds_to_consumer_lease == -1


def test_the_first_pause_to_end_is_found(group: TimerGroup, time: VirtualTime) -> None:
    schedule_fixed_rate("work", "rate", period=10)
    pause_timer("work", "rate", until=START + 30 * SECOND)
    assert find_chores("default").seconds_to_resume == 30
    pause_group("work", until=START + 20 * SECOND)
    time.advance(21)
    assert find_chores("default").seconds_to_resume == -1


def test_what_workers_hold_is_found_while_their_partition_is_paused(group: TimerGroup, node: Stepper) -> None:
    schedule_once("work", "t", after=0)
    (held,) = node.claim()
    node.run()
    assert find_chores("default").paused_claims == []
    pause_partition("default")
    assert find_chores("default").paused_claims == [held.fence]
    assert find_chores("another").paused_claims == [], "its own nodes find it"


def test_all_that_workers_hold_is_found_however_many_claims_there_are(group: TimerGroup, node: Stepper) -> None:
    schedule_once("work", "t", after=0)
    (held,) = node.claim()
    node.run()
    mine = Claim.objects.get()
    Claim.objects.bulk_create(
        Claim(group_id=mine.group_id, node_id=mine.node_id, claimed_at=mine.claimed_at, executions=[])
        for _ in range(1000)
    )
    pause_partition("default")
    assert held.fence in find_chores("default").paused_claims


def test_what_consumers_hold_is_not_called_back(time: VirtualTime) -> None:
    factories.group("mail", action={"kind": "pull"})
    schedule_once("mail", "m", after=0)
    assert len(claim("mail", consumer="c")) == 1
    pause_cluster()
    assert find_chores("default").paused_claims == []
