"""What a worker holds takes slots, and a group gets the room that is left for it."""

from __future__ import annotations

import pytest

from tests.support.executions import execution, served_group
from timers.actions import Action, parse
from timers.worker.capacity import Capacity, Slots
from timers.worker.run_time_mean import Pace

HANGING = "https://hanging.example.org/a"


@pytest.fixture
def pace() -> Pace:
    return Pace()


@pytest.fixture
def capacity(pace: Pace) -> Capacity:
    return Capacity(4, 40, pace, per_target=20)


def call_of(url: str) -> Action:
    return parse({"kind": "http", "url": url})


def held(capacity: Capacity, count: int, group: int, action: Action) -> None:
    capacity.add([execution(group=served_group(group, action=action), action=action) for _ in range(count)])


def test_a_group_holds_no_more_slow_calls_than_its_target_takes_at_once(capacity: Capacity) -> None:
    assert capacity.room(served_group(1, action=call_of(HANGING)), 1) == 20
    held(capacity, 15, 1, call_of(HANGING))
    assert capacity.room(served_group(1, action=call_of(HANGING)), 1) == 5


def test_groups_with_one_target_share_its_places(capacity: Capacity) -> None:
    held(capacity, 20, 1, call_of(HANGING))
    assert capacity.room(served_group(2, action=call_of("https://hanging.example.org/b")), 1) == 0
    assert capacity.room(served_group(3, action=call_of("https://good.example.org/")), 1) == 20


def test_handlers_called_through_the_handler_endpoint_share_one_target(capacity: Capacity) -> None:
    held(capacity, 20, 1, parse({"kind": "remote_handler", "name": "a"}))
    assert capacity.room(served_group(2, action=parse({"kind": "remote_handler", "name": "b"})), 1) == 0


def test_calls_that_wait_for_their_target_take_no_slot_from_others(capacity: Capacity) -> None:
    """Of a group whose timers bring their own actions nobody knows beforehand which target they call."""
    held(capacity, 40, 1, call_of(HANGING))
    assert capacity.taken(Slots.ASYNC) == 20
    assert capacity.room(served_group(2, action=call_of("https://good.example.org/")), 1) == 20


def test_a_group_holds_no_more_than_all_slots_though_some_of_it_waits_for_its_target(
    capacity: Capacity, pace: Pace
) -> None:
    group = served_group(1, action=None)
    capacity.add([execution(group=group, action=call_of(HANGING)) for _ in range(40)])
    pace.measured(1, 9.0, 40)
    assert capacity.room(group, 1) == 0


def test_quick_calls_are_held_ahead_of_their_target(capacity: Capacity, pace: Pace) -> None:
    pace.measured(1, 0.01, 40)
    assert capacity.room(served_group(1, action=call_of(HANGING)), 1) > 500


def test_what_is_recorded_or_given_back_makes_room_again(capacity: Capacity) -> None:
    action = call_of(HANGING)
    executions = [execution(group=served_group(1, action=action), action=action) for _ in range(20)]
    capacity.add(executions)
    capacity.remove(executions)
    assert capacity.room(served_group(1, action=action), 1) == 20
    assert capacity.held == capacity.held_of(1) == 0


def test_due_work_has_room_in_idle_slots_though_quick_work_claimed_ahead_fills_all(pace: Pace) -> None:
    idle = {Slots.THREADS: 3, Slots.ASYNC: 0}
    capacity = Capacity(4, 40, pace, idle=idle.__getitem__)
    quick, slow = served_group(1), served_group(2)
    pace.measured(1, 0.25, 4)
    held(capacity, 8, 1, parse({"handler": "tests.noop"}))
    assert capacity.room(slow, 1) == 0
    assert capacity.room(quick, 1) == 0
    assert capacity.room_now(slow, 1) == 3
    assert capacity.room_now(slow, 2) == 2, "an equal share, rounded up"
    assert capacity.room_now(served_group(3, action=call_of(HANGING)), 1) == 0


def test_idle_slots_do_not_exceed_the_places_of_a_target(pace: Pace) -> None:
    capacity = Capacity(4, 40, pace, per_target=20, idle=lambda _: 30)
    held(capacity, 15, 1, call_of(HANGING))
    assert capacity.room_now(served_group(2, action=call_of(HANGING)), 1) == 5
