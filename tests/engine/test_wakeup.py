"""Who creates or moves a timer announces it where it is due before any living node's next look."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import override_settings

from tests import factories
from timers.engine import wakeup
from timers.engine.nodes import register
from timers.models import TimerGroup
from timers.scheduling import pause_group, resume_group, schedule_fixed_rate, schedule_once, skip_next_fire
from timers.testing import VirtualTime
from timers.testing.stepper import registration


@pytest.fixture
def announced(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The channels of all notifications."""
    channels: list[str] = []
    monkeypatch.setattr(wakeup, "_notify", lambda channel, _: channels.append(channel))
    wakeup.forget_nodes()
    yield channels
    wakeup.forget_nodes()


def test_a_timer_beyond_the_own_look_ahead_is_announced_for_a_node_that_looks_seldom(
    group: TimerGroup, announced: list[str]
) -> None:
    register(registration("slow", look_ahead=10.5, listens=True))
    schedule_once("work", "t", after=10)
    assert announced == [wakeup.WAKE_CHANNEL]


def test_a_timer_beyond_every_look_ahead_is_not_announced(group: TimerGroup, announced: list[str]) -> None:
    register(registration("slow", look_ahead=10.5, listens=True))
    schedule_once("work", "t", after=11)
    assert announced == []


def test_nodes_that_do_not_listen_or_have_ended_get_no_announcement(
    group: TimerGroup, time: VirtualTime, announced: list[str]
) -> None:
    register(registration("polling", look_ahead=10.5, listens=False))
    register(registration("over", look_ahead=10.5, listens=True, lease=1.0))
    time.advance(2)
    schedule_once("work", "t", after=10)
    assert announced == []


def test_a_process_that_does_not_listen_announces_for_nodes_that_do(group: TimerGroup, announced: list[str]) -> None:
    register(registration("slow", look_ahead=1.5, listens=True))
    with override_settings(TIMERS={"NOTIFY": False}):
        schedule_once("work", "t", after=1)
    assert announced == [wakeup.WAKE_CHANNEL]


def test_a_timer_that_no_node_can_be_ahead_of_costs_no_question(
    group: TimerGroup, announced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeup, "_look_ahead_of_nodes", lambda: pytest.fail("asked"))
    schedule_once("work", "later", after=61)
    schedule_once("work", "at once", after=0)
    assert announced == [wakeup.WAKE_CHANNEL]


def test_the_resume_of_a_group_and_a_fire_that_is_left_out_are_announced(
    group: TimerGroup, announced: list[str]
) -> None:
    schedule_fixed_rate("work", "t", period=1)
    pause_group("work")
    announced.clear()
    resume_group("work")
    assert announced == [wakeup.WAKE_CHANNEL]
    schedule_fixed_rate("work", "fast", period=0.5)
    announced.clear()
    skip_next_fire("work", "fast")
    assert announced == [wakeup.WAKE_CHANNEL]


def test_the_look_ahead_of_nodes_is_read_once_a_second(group: TimerGroup, announced: list[str]) -> None:
    factories.node(look_ahead=10.5, listens=True)
    assert wakeup._look_ahead_of_nodes() == 10.5
    factories.node(look_ahead=20.5, listens=True)
    assert wakeup._look_ahead_of_nodes() == 10.5
    wakeup._published.read_at -= wakeup.PUBLISHED_SECONDS
    assert wakeup._look_ahead_of_nodes() == 20.5
