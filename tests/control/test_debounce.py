"""A one-shot that is scheduled again and again: it fires a while after the last time, and never beyond its bound."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from tests.support.handlers import TemporaryHandlers
from timers.exceptions import InvalidRequest
from timers.models import Timer, TimerGroup
from timers.scheduling import schedule_fixed_rate, schedule_many, schedule_once
from timers.testing import Stepper, VirtualTime


def debounce(after: float = 5, max_wait: Any = 12, **options: Any) -> Timer:
    return schedule_once("work", "one", after=after, on_conflict="replace", debounce_max_wait=max_wait, **options)


def seconds(timer: Timer, since: datetime) -> float:
    assert timer.next_fire_at is not None
    return (timer.next_fire_at - since).total_seconds()


def test_each_call_puts_the_timer_off_to_the_bound_at_most(group: TimerGroup, time: VirtualTime) -> None:
    begun = time.now
    instants = []
    for _ in range(5):
        instants.append(seconds(debounce(), begun))
        time.advance(3)
    assert instants == [5, 8, 11, 12, 12]
    assert Timer.objects.count() == 1


def test_it_fires_once_with_the_last_payload_and_then_begins_anew(
    group: TimerGroup, node: Stepper, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    begun = time.now
    for number in range(4):
        debounce(payload=number)
        node.advance(3)
    node.advance(10)
    assert [(fire.payload, (fire.fire_time - begun).total_seconds()) for fire in handlers.calls] == [(3, 12)]
    assert seconds(debounce(), time.now) == 5


def test_the_first_call_is_bound_too(group: TimerGroup, time: VirtualTime) -> None:
    assert seconds(debounce(after=100), time.now) == 12


def test_a_timer_that_is_older_than_the_bound_fires_now(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    schedule_once("work", "one", after=10_000)
    time.advance(1000)
    assert seconds(debounce(), time.now) == 0
    assert len(node.step()) == 1


def test_an_earlier_instant_is_taken_as_given(group: TimerGroup, time: VirtualTime) -> None:
    debounce(after=10)
    assert seconds(debounce(after=1), time.now) == 1


def test_each_of_many_has_its_own_bound(group: TimerGroup, time: VirtualTime) -> None:
    requests = [
        {"kind": "once", "group": "work", "name": f"{wait}", "after": 5, "debounce_max_wait": wait} for wait in (3, 30)
    ]
    for _ in range(2):
        became = schedule_many(requests, on_conflict="replace")
        time.advance(2)
    assert [(each.next_fire_at - became[0].next_fire_at).total_seconds() for each in became if each.next_fire_at] == [
        0, 4,
    ]  # fmt: skip


@pytest.mark.parametrize("on_conflict", ["reject", "keep"])
def test_a_bound_without_replacement_is_refused_with_the_remedy(group: TimerGroup, on_conflict: str) -> None:
    with pytest.raises(InvalidRequest, match=r'debounce_max_wait: bounds .* give on_conflict="replace"'):
        schedule_once("work", "one", after=5, on_conflict=on_conflict, debounce_max_wait=10)


@pytest.mark.parametrize("value", [-1, "soon", [], True])
def test_what_is_no_bound_is_refused(group: TimerGroup, value: Any) -> None:
    with pytest.raises(InvalidRequest, match="debounce_max_wait"):
        debounce(max_wait=value)


def test_only_one_shots_are_debounced(group: TimerGroup) -> None:
    with pytest.raises(InvalidRequest, match="debounce_max_wait"):
        schedule_fixed_rate("work", "rate", period=60, on_conflict="replace", debounce_max_wait=10)
