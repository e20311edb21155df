"""The number of a group's shards changes while its timers fire."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from timers.control.groups import update_group
from timers.domain.shards import shard_of
from timers.engine import reshard
from timers.engine.chores import find_chores
from timers.engine.reshard import look_for_left_behind, move_batch
from timers.models import Attempt, Timer, TimerGroup
from timers.scheduling import pause_timer, schedule_fixed_rate, schedule_many, schedule_once
from timers.testing import Stepper, VirtualTime

COUNT = 30


@pytest.fixture
def group(time: VirtualTime, handlers: TemporaryHandlers, monkeypatch: pytest.MonkeyPatch) -> TimerGroup:
    """A group of four shards with COUNT hourly timers, that are moved seven at a time."""
    monkeypatch.setattr(reshard, "BATCH", 7)
    factories.group("work", shards=4, probed_shards=4)
    schedule_many([{"kind": "fixed_rate", "group": "work", "name": f"t{n:02}", "period": 3600} for n in range(COUNT)])
    return TimerGroup.objects.get()


def move_all() -> int:
    """Move until nothing is left to do; how many timers changed their shard."""
    moved = 0
    while (batch := move_batch()) is not None:
        moved += batch.timers
    return moved


def misplaced() -> list[str]:
    shards = TimerGroup.objects.get().shards
    living = Timer.objects.filter(state__in=["active", "paused"])
    return [timer.name for timer in living if timer.shard != shard_of(timer.name, shards)]


@pytest.mark.parametrize("shards", [16, 2, 1, 5])
def test_all_living_timers_come_to_their_new_shards(group: TimerGroup, shards: int) -> None:
    pause_timer("work", "t03")
    update_group("work", shards=shards)
    assert find_chores("default").has_operations
    assert move_all() > 0
    assert misplaced() == []
    assert not find_chores("default").has_operations


@pytest.mark.parametrize("shards", [16, 2])
def test_a_timer_fires_once_whether_it_has_been_moved_or_not(group: TimerGroup, node: Stepper, shards: int) -> None:
    update_group("work", shards=shards)
    for _ in range(3):
        move_batch()
    node.time.advance(hours=1)
    node.until_idle()
    move_all()
    node.until_idle()
    counts = Counter(Attempt.objects.filter(outcome="succeeded").values_list("name", flat=True))
    assert counts == {f"t{number:02}": 1 for number in range(COUNT)}


def test_new_timers_go_to_the_new_shards_at_once(group: TimerGroup) -> None:
    update_group("work", shards=16)
    timer = schedule_once("work", "new", after=60)
    assert Timer.objects.get(id=timer.id).shard == shard_of("new", 16)


def test_a_second_change_during_the_first_one_moves_everything_again(group: TimerGroup) -> None:
    update_group("work", shards=16)
    move_batch()
    update_group("work", shards=3)
    assert TimerGroup.objects.get().probed_shards == 16
    move_all()
    assert misplaced() == []


def test_old_shards_are_probed_until_nothing_can_be_inserted_there(group: TimerGroup, time: VirtualTime) -> None:
    update_group("work", shards=2)
    move_all()
    look_for_left_behind()
    assert TimerGroup.objects.get().probed_shards == 4
    time.advance(61)
    look_for_left_behind()
    assert TimerGroup.objects.get().probed_shards == 2


def test_a_timer_that_a_slow_program_inserts_by_the_old_number_is_found_and_fired(
    group: TimerGroup, node: Stepper
) -> None:
    update_group("work", shards=1)
    move_all()
    node.time.advance(61)
    look_for_left_behind()
    late = schedule_fixed_rate("work", "late", period=5)
    Timer.objects.filter(id=late.id).update(shard=3)
    node.time.advance(6)
    assert not [outcome for outcome in node.until_idle() if outcome.execution.name == "late"]
    look_for_left_behind()
    assert [outcome.execution.name for outcome in node.until_idle()] == ["late"]
    move_all()
    assert misplaced() == []


def test_finished_timers_stay_where_they_are(group: TimerGroup, node: Stepper) -> None:
    timer = schedule_once("work", "once", after=1)
    node.advance(2)
    shard = Timer.objects.get(id=timer.id).shard
    update_group("work", shards=16)
    move_all()
    assert Timer.objects.get(id=timer.id).shard == shard


def test_a_change_to_the_same_number_moves_nothing(group: TimerGroup) -> None:
    update_group("work", shards=4)
    assert not find_chores("default").has_operations


def test_low_marks_do_not_hide_timers_that_are_moved_below_them(group: TimerGroup) -> None:
    """What is being moved may come to stand below an instant down to which a worker has read the shard."""
    update_group("work", shards=16)
    from timers.engine.execution import ServedGroup

    assert ServedGroup.of(TimerGroup.objects.get()).is_moving
    move_all()
    assert not ServedGroup.of(TimerGroup.objects.get()).is_moving


def test_each_batch_is_a_bounded_transaction(group: TimerGroup, time: VirtualTime) -> None:
    update_group("work", shards=16)
    batch = move_batch()
    assert batch is not None
    assert batch.timers <= 7
    assert TimerGroup.objects.get().moved_to_shards_up_to == "t06"
    assert TimerGroup.objects.get().updated_at <= time.now + timedelta(seconds=1)
