"""What comes due while nobody can fire it is missed, however short the outage; the misfire policy decides, no other."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import timedelta
from itertools import product
from typing import NamedTuple

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import finals_of
from timers.control.cluster_pause import pause_cluster, pause_partition, resume_cluster, resume_partition
from timers.domain.policies import MISFIRE_POLICIES, OVERLAP_POLICIES
from timers.models import Attempt, Timer, TimerGroup
from timers.scheduling import pause_group, pause_timer, resume_group, resume_timer, schedule_fixed_rate
from timers.testing import START, Stepper, VirtualTime

OUTAGES = {3: 1, 30: 1, 61: 1, 600: 10}
"""Seconds, and the period of the timer."""
BEFORE, AFTER = 5, 4
"""Instants before and after the outage."""


class Final(NamedTuple):
    """A final row: the number of its instant, how it ended, and how many more it stands for."""

    number: int
    outcome: str
    missed_count: int
    reason: str | None = None


def expected(instants: int, misfire: str, first_missed: int = BEFORE + 1) -> list[Final]:
    """By docs/policies.md: so many instants of a timer came due in the outage, and from first_missed on were missed."""
    last = BEFORE + instants
    missed = last - first_missed + 1
    made_up = {
        "fire_once": [Final(last, "succeeded", missed - 1)],
        "fire_all": [Final(second, "succeeded", 0) for second in range(first_missed, last + 1)],
        "skip": [Final(last, "skipped", missed - 1, "misfire")],
    }[misfire]
    before = [Final(second, "succeeded", 0) for second in range(1, first_missed)]
    return [*before, *made_up, *[Final(last + second, "succeeded", 0) for second in range(1, AFTER + 1)]]


def found(timer: Timer, period: int = 1) -> list[Final]:
    return [
        Final(round((row.scheduled_for - START).total_seconds()) // period, row.outcome, row.missed_count, row.reason)
        for row in finals_of(timer)
    ]


def timer_is_paused(node: Stepper, seconds: int) -> Stepper:
    for group in groups():
        pause_timer(group, "second")
    node.advance(seconds)
    for group in groups():
        resume_timer(group, "second")
    return node


def timer_is_paused_until(node: Stepper, seconds: int) -> Stepper:
    for group in groups():
        pause_timer(group, "second", until=node.time.now + timedelta(seconds=seconds))
    node.advance(seconds)
    return node


def group_is_paused(node: Stepper, seconds: int) -> Stepper:
    for group in groups():
        pause_group(group)
    node.advance(seconds)
    for group in groups():
        resume_group(group)
    return node


def cluster_is_paused(node: Stepper, seconds: int) -> Stepper:
    pause_cluster()
    node.advance(seconds)
    resume_cluster()
    return node


def partition_is_paused(node: Stepper, seconds: int) -> Stepper:
    pause_partition("default")
    node.advance(seconds)
    resume_partition("default")
    return node


def node_is_down(node: Stepper, seconds: int) -> Stepper:
    node.release()
    node.time.advance(seconds)
    return Stepper(node.time)


def database_is_down(node: Stepper, seconds: int) -> Stepper:
    node.time.advance(seconds)
    return node


WAYS = (
    timer_is_paused, timer_is_paused_until, group_is_paused, cluster_is_paused, partition_is_paused, node_is_down,
    database_is_down,
)  # fmt: skip


def groups() -> list[str]:
    return list(TimerGroup.objects.order_by("id").values_list("name", flat=True))


Policy = tuple[str, str]
"""A misfire policy and an overlap policy."""


def timers_of_every_policy(period: int = 1, overlaps: Collection[str] = OVERLAP_POLICIES) -> dict[Policy, Timer]:
    """Schedule a timer of that period (seconds) for each pair of policies, in a group of its own."""
    policies = list(product(MISFIRE_POLICIES, overlaps))
    for misfire, overlap in policies:
        factories.group(f"{misfire} {overlap}", misfire_policy=misfire, overlap_policy=overlap)
    return {each: schedule_fixed_rate(" ".join(each), "second", period=period) for each in policies}


@pytest.fixture
def second(time: VirtualTime, handlers: TemporaryHandlers) -> Callable[..., Timer]:
    def make(misfire: str, overlap: str, period: int = 1) -> Timer:
        factories.group("work", misfire_policy=misfire, overlap_policy=overlap)
        return schedule_fixed_rate("work", "second", period=period)

    return make


@pytest.mark.parametrize(("outage", "period"), OUTAGES.items())
@pytest.mark.parametrize("way", WAYS)
def test_instants_of_an_outage_are_missed_whatever_its_length(
    node: Stepper, handlers: TemporaryHandlers, way: Callable[[Stepper, int], Stepper], outage: int, period: int
) -> None:
    timers = timers_of_every_policy(period)
    node.advance((BEFORE + 0.5) * period)
    living = way(node, outage)
    living.advance(AFTER * period)
    for (misfire, overlap), timer in timers.items():
        assert found(timer, period) == expected(outage // period, misfire), f"{misfire}, {overlap}"


@pytest.mark.parametrize("outage", [3, 61])
@pytest.mark.parametrize("rescue", ["first", "later"])
def test_what_a_dead_node_had_claimed_ahead_overlaps_with_nothing(
    node: Stepper, handlers: TemporaryHandlers, outage: int, rescue: str
) -> None:
    timers = timers_of_every_policy(overlaps=["skip", "queue", "replace"])
    node.advance(BEFORE + 0.5)
    node.look_ahead = 1.5
    assert len(node.claim()) == len(timers)
    node.time.advance(outage)
    living = Stepper(node.time)
    if rescue == "later":
        living.claim()
    living.rescue(node)
    living.advance(AFTER)
    for (misfire, overlap), timer in timers.items():
        assert found(timer) == expected(outage, misfire, first_missed=BEFORE + 2), f"{misfire}, {overlap}"
        assert Attempt.objects.filter(timer_id=timer.id, outcome="lost").count() == 1


@pytest.mark.parametrize("overlap", ["skip", "queue", "replace"])
def test_what_a_draining_node_gave_back_overlaps_with_nothing(
    second: Callable[..., Timer], node: Stepper, overlap: str
) -> None:
    timer = second("fire_all", overlap)
    node.advance(BEFORE + 0.5)
    node.look_ahead = 1.5
    node.claim()
    living = node_is_down(node, 30)
    living.advance(AFTER)
    assert found(timer) == expected(30, "fire_all")


def test_a_cron_of_five_seconds_runs_once_for_an_outage_of_37(
    time: VirtualTime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    factories.group("work")
    timer = schedule_fixed_rate("work", "five", period=5)
    node.advance(6)
    node_is_down(node, 37).until_idle()
    assert found(timer, 5) == [Final(1, "succeeded", 0), Final(8, "succeeded", 6)]


def test_overlap_is_said_of_instants_at_which_an_execution_ran(
    second: Callable[..., Timer], node: Stepper, handlers: TemporaryHandlers
) -> None:
    timer = second("fire_once", "skip")
    handlers.add("tests.noop", lambda fire: node.time.advance(2.5))
    node.advance(3)
    assert found(timer) == [
        Final(1, "succeeded", 0),
        Final(2, "skipped", 0, "overlap"),
        Final(3, "skipped", 0, "overlap"),
    ]


def test_an_execution_that_runs_through_a_pause_is_followed_by_one_for_what_was_missed(
    second: Callable[..., Timer], node: Stepper
) -> None:
    timer = second("fire_once", "skip")
    node.time.advance(1)
    node.claim()
    node.run()
    pause_timer("work", "second")
    node.time.advance(10.5)
    resume_timer("work", "second")
    node.claim()
    node.time.advance(1)
    node.claim()
    node.finish()
    node.until_idle()
    assert found(timer) == [
        Final(1, "succeeded", 0),
        Final(11, "succeeded", 9),
        Final(12, "skipped", 0, "overlap"),
    ]


def test_several_instants_within_a_moment_all_run_late(
    time: VirtualTime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    factories.group("work")
    timer = schedule_fixed_rate("work", "often", period=0.25)
    node.advance(1)
    time.advance(1.2)
    node.until_idle()
    rows = finals_of(timer)
    assert [row.outcome for row in rows] == ["succeeded"] * 8
    assert {row.missed_count for row in rows} == {0}


def test_what_is_made_up_for_is_not_replaced_by_the_next_fire(second: Callable[..., Timer], node: Stepper) -> None:
    timer = second("fire_all", "replace")
    node.advance(BEFORE + 0.5)
    node.time.advance(10)
    node.claim()
    for _ in range(3):
        node.time.advance(1)
        node.claim()
    node.until_idle()
    assert found(timer) == [
        *[Final(each, "succeeded", 0) for each in range(1, 16)],
        Final(16, "skipped", 0, "replaced"),
        Final(17, "skipped", 0, "replaced"),
        Final(18, "succeeded", 0),
    ]
