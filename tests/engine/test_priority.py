"""Priorities of a group's timers: under a backlog the higher ones are fired first."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from timers.exceptions import InvalidRequest
from timers.models import TimerGroup
from timers.scheduling import schedule_fixed_rate, schedule_many, schedule_once, update_timer
from timers.testing import Stepper, VirtualTime


def backlog(group: str, time: VirtualTime, count: int, priority: int, ago: float) -> None:
    """One-shots that have been due for `ago` seconds."""
    schedule_many(
        [
            {
                "kind": "once", "group": group, "name": f"{group} {priority} {n}",
                "at": time.now - timedelta(seconds=ago), "priority": priority,
            }
            for n in range(count)
        ]
    )  # fmt: skip


def priorities(names: list[str]) -> list[int]:
    return [int(name.split()[1]) for name in names]


def test_what_is_urgent_comes_first_however_long_the_rest_has_waited(
    group: TimerGroup, time: VirtualTime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    backlog("work", time, 50, priority=0, ago=300)
    backlog("work", time, 5, priority=5, ago=1)
    backlog("work", time, 5, priority=-3, ago=600)
    claimed = priorities([execution.name for execution in node.claim()])
    assert claimed == [5] * 5 + [0] * 50 + [-3] * 5


def test_the_groups_own_priority_comes_before_that_of_its_timers(
    time: VirtualTime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    factories.group("plain")
    factories.group("urgent", priority=1)
    backlog("plain", time, 3, priority=9, ago=60)
    backlog("urgent", time, 3, priority=-9, ago=1)
    assert [execution.name.split()[0] for execution in node.claim()] == ["urgent"] * 3 + ["plain"] * 3


@pytest.mark.parametrize("by", ["created", "edited", "replaced"])
def test_a_priority_that_no_timer_had_before_is_found_by_a_running_node(
    group: TimerGroup, time: VirtualTime, node: Stepper, handlers: TemporaryHandlers, by: str
) -> None:
    schedule_fixed_rate("work", "plain", period=1)
    time.advance(1)
    node.until_idle()
    if by == "created":
        schedule_once("work", "urgent", after=1, priority=7)
    else:
        schedule_once("work", "urgent", after=1)
    if by == "edited":
        update_timer("work", "urgent", priority=7)
    if by == "replaced":
        schedule_once("work", "urgent", after=1, priority=7, on_conflict="replace")
    time.advance(1)
    assert [execution.name for execution in node.claim()] == ["urgent", "plain"]


def test_an_edited_priority_holds_from_the_next_look_on(
    group: TimerGroup, time: VirtualTime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    for name, priority in (("a", 3), ("b", 0)):
        schedule_fixed_rate("work", name, period=1, priority=priority)
    time.advance(1)
    assert [execution.name for execution in node.claim()] == ["a", "b"]
    node.run()
    node.finish()
    update_timer("work", "a", priority=-1)
    time.advance(1)
    assert [execution.name for execution in node.claim()] == ["b", "a"]


def test_a_priority_that_was_rolled_back_is_not_looked_for(
    group: TimerGroup, time: VirtualTime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    with pytest.raises(InvalidRequest):
        schedule_many(
            [
                {"kind": "once", "group": "work", "name": "a", "after": 1, "priority": 4},
                {"kind": "once", "group": "work", "name": "a", "after": 1},
            ]
        )
    group.refresh_from_db()
    assert group.timer_priorities == [0]


@pytest.mark.parametrize("priority", [10, -10, 1.5, "high", True])
def test_a_priority_is_a_small_whole_number(group: TimerGroup, priority: object) -> None:
    with pytest.raises(InvalidRequest, match="priority"):
        schedule_once("work", "once", after=1, priority=priority)
    group.refresh_from_db()
    assert group.timer_priorities == [0]


def test_shards_and_priorities_of_a_group_are_all_looked_at(
    time: VirtualTime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    factories.group("work", shards=4)
    for priority in (0, 2, 5):
        backlog("work", time, 20, priority=priority, ago=60)
    claimed = priorities([execution.name for execution in node.claim()])
    assert claimed == [5] * 20 + [2] * 20 + [0] * 20
