"""Limit keys follow the group's settings, whoever changes these while timers are written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.sessions import OtherSession
from timers.control.create import create_timers
from timers.control.groups import find_groups
from timers.control.spec import TimerSpec
from timers.models import Timer, TimerGroup
from timers.schedules.once import Once
from timers.scheduling import schedule_many, schedule_once, update_group, update_timer
from timers.testing import Stepper, VirtualTime

BY_TENANT = {"concurrency_key": "payload.tenant", "max_concurrency_per_key": 1}
BY_USER = {**BY_TENANT, "concurrency_key": "payload.user"}
PAYLOAD = {"tenant": "a", "user": "u"}


def create() -> object:
    return schedule_once("work", "one", after=60, payload=PAYLOAD)


def create_many() -> object:
    return schedule_many([
        {"kind": "once", "group": "work", "name": name, "after": 60, "payload": PAYLOAD} for name in ("one", "two")
    ])  # fmt: skip


def replace() -> object:
    return schedule_once("work", "one", after=90, payload=PAYLOAD, on_conflict="replace")


def edit() -> object:
    return update_timer("work", "one", payload={**PAYLOAD, "more": 1})


def describe() -> object:
    return update_timer("work", "one", description="words")


@pytest.mark.parametrize("before", [{}, BY_USER], ids=["newly limited", "another key"])
@pytest.mark.parametrize("write", [create, create_many, replace, edit, describe])
@pytest.mark.usefixtures("committed")
def test_a_timer_written_while_its_group_changes_gets_the_new_key(
    group: TimerGroup, time: VirtualTime, write: Callable[[], object], before: dict[str, Any]
) -> None:
    update_group("work", **before)
    if write not in (create, create_many):
        create()
    with OtherSession(time.now) as changing, OtherSession(time.now) as writing:
        changing.begin()
        changing.run(lambda: update_group("work", **BY_TENANT))
        written = writing.start(write)
        writing.waits_for_a_lock()
        changing.commit()
        written.result(timeout=20)
    if not before:
        # Whoever writes to a group without limits compares nothing; such timers get their keys when they come due.
        Stepper(time).advance(120)
    assert set(Timer.objects.values_list("limit_key", flat=True)) == {"a"}


@pytest.mark.usefixtures("committed")
def test_a_change_of_the_group_waits_for_a_create_and_gives_its_timer_the_key(
    group: TimerGroup, time: VirtualTime
) -> None:
    update_group("work", **BY_USER)
    with OtherSession(time.now) as changing, OtherSession(time.now) as writing:
        writing.begin()
        writing.run(create)
        changed = changing.start(lambda: update_group("work", **BY_TENANT))
        changing.waits_for_a_lock()
        writing.commit()
        changed.result(timeout=20)
    assert Timer.objects.get().limit_key == "a"


def test_a_group_that_changed_since_it_was_read_is_read_again(group: TimerGroup, time: VirtualTime) -> None:
    update_group("work", **BY_USER)
    found = find_groups(["work"])
    update_group("work", **BY_TENANT)
    spec = TimerSpec.parse(
        group="work", name="one", time_zone="UTC", schedule=lambda: Once(time.now), payload=PAYLOAD
    )  # fmt: skip
    (created,) = create_timers([spec], found=found)
    assert created.result == "created"
    assert Timer.objects.get().limit_key == "a"
