"""The order of locks: groups by rising id before timers, whatever verb takes them and whatever the groups are named."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection

from tests import factories
from tests.support.sessions import OtherSession
from timers.control.cluster_pause import pause_cluster
from timers.control.declaration import CODE, Declaration, Declared
from timers.control.delete import delete_group
from timers.control.key_settings import KeySettingsChanged
from timers.control.keys import create_key
from timers.control.limit_change import rekey_again
from timers.control.sync import reconcile
from timers.engine import rekey as rekey_module
from timers.engine.advance import lock_timers
from timers.models import Timer, TimerGroup, Waiting
from timers.scheduling import fire_timer, get_timer, schedule_fixed_rate, schedule_many, update_group, update_timer
from timers.testing import VirtualTime

RATE = {"kind": "fixed_rate", "group": "work", "period": 20}

pytestmark = pytest.mark.usefixtures("committed", "handlers")


def lock_group(group: TimerGroup, how: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT 1 FROM timers_timer_group WHERE id = %s FOR {how}", (group.id,))


@pytest.fixture
def low(time: VirtualTime) -> TimerGroup:
    """The group of the lower id, whose name is last."""
    return factories.group("z", action={"handler": "tests.noop"})


@pytest.fixture
def high(low: TimerGroup) -> TimerGroup:
    return factories.group("a", action={"handler": "tests.noop"})


def create(on_conflict: str = "reject", **options: Any) -> Callable[[], Any]:
    timers = [{"kind": "fixed_rate", "group": name, "name": "t", "period": 10, **options} for name in "az"]
    return lambda: schedule_many(timers, on_conflict=on_conflict)


def limit_higher() -> None:
    update_group("a", max_timers=5)


def wait_for_keys() -> None:
    KeySettingsChanged(TimerGroup.objects.order_by("name").values_list("id", flat=True)).wait()


def grant() -> None:
    create_key("k", user="olga", scopes=["read"], groups=["a", "z"])


@pytest.mark.parametrize(
    ("prepare", "verb"),
    [
        (None, pause_cluster),
        (None, create()),
        (None, create("replace")),
        (None, create(priority=7)),
        (None, create("replace", priority=7)),
        (limit_higher, create()),
        (limit_higher, create("replace")),
        (None, wait_for_keys),
        (None, grant),
    ],
    ids=[
        "pause", "create", "replace", "create with a priority", "replace with a priority", "create in a limited group",
        "replace in a limited group", "wait for keys", "grant",
    ],
)  # fmt: skip
def test_groups_are_locked_by_rising_id(
    low: TimerGroup, high: TimerGroup, time: VirtualTime, prepare: Callable[[], None] | None, verb: Callable[[], Any]
) -> None:
    get_user_model().objects.create_user("olga")
    if prepare is not None:
        prepare()
    with OtherSession(time.now) as holder, OtherSession(time.now) as manager, OtherSession(time.now) as other:
        holder.begin()
        holder.run(lambda: lock_group(low, "UPDATE"))
        acting = manager.start(verb)
        manager.waits_for_a_lock()
        other.begin()
        other.run(lambda: lock_group(high, "UPDATE NOWAIT"))
        other.rollback()
        holder.rollback()
        acting.result(10)


def replace_with_priority() -> Any:
    timers = [{"kind": "fixed_rate", "group": "work", "name": "t", "period": 20, "priority": 7}]
    return schedule_many(timers, on_conflict="replace")


def update_with_priority() -> Any:
    return update_timer("work", "t", priority=7)


def declare(**options: Any) -> Any:
    keywords = {"kind": "fixed_rate", "group": "work", "name": "t", "period": 10, **options}
    return reconcile(Declared(CODE, [Declaration(keywords, "app.timer_handlers")]))


def declare_with_priority() -> Any:
    return declare(priority=7)


@pytest.mark.parametrize("verb", [replace_with_priority, update_with_priority, declare_with_priority])
def test_verb_with_a_new_priority_locks_the_group_before_timers(
    group: TimerGroup, time: VirtualTime, verb: Callable[[], Any]
) -> None:
    """As a move of shards does, which waits for timers while it has the group."""
    if verb is declare_with_priority:
        declare()
    else:
        schedule_fixed_rate("work", "t", period=10)
    timer = get_timer("work", "t")
    with OtherSession(time.now) as mover, OtherSession(time.now) as person:
        mover.begin()
        mover.run(lambda: lock_group(group, "NO KEY UPDATE"))
        changing = person.start(verb)
        person.waits_for_a_lock()
        mover.run(lambda: lock_timers([timer.id]))
        mover.commit()
        changing.result(10)
    assert Timer.objects.get(name="t").priority == 7
    assert TimerGroup.objects.get(id=group.id).timer_priorities == [7, 0]


def delete_all() -> Any:
    return delete_group("work", force=True)


def limit_by_key() -> Any:
    return update_group("work", concurrency_key="payload.tenant", max_concurrency_per_key=1)


def take_over() -> Any:
    return reconcile(Declared(CODE, []), owner="after", take_over="before")


def adopt() -> Any:
    return reconcile(Declared(CODE, [Declaration({**RATE, "name": name}, "app.timer_handlers") for name in "ab"]))


@pytest.mark.parametrize(("verb", "owner"), [(delete_all, ""), (limit_by_key, ""), (take_over, "before"), (adopt, "")])
def test_timers_are_locked_by_rising_id(
    group: TimerGroup, time: VirtualTime, verb: Callable[[], Any], owner: str
) -> None:
    """The timer of the lower id is last by name, by its next instant and by its place in the table."""
    low, high = (schedule_fixed_rate("work", name, period=10, payload={"tenant": "t"}) for name in "ba")
    Timer.objects.update(owner=owner, source=CODE)
    Timer.objects.filter(id=low.id).update(next_fire_at=time.now + timedelta(days=1))
    with OtherSession(time.now) as holder, OtherSession(time.now) as manager, OtherSession(time.now) as other:
        holder.begin()
        holder.run(lambda: lock_timers([low.id]))
        acting = manager.start(verb)
        manager.waits_for_a_lock()
        other.begin()
        other.run(lambda: Timer.objects.select_for_update(nowait=True).get(id=high.id))
        other.rollback()
        holder.rollback()
        acting.result(10)


def test_keys_are_set_again_with_all_timers_locked_before_waiting_executions(
    group: TimerGroup, time: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys are set in batches, here of one timer; the first has a waiting execution."""
    monkeypatch.setattr(rekey_module, "BATCH", 1)
    first, second = (schedule_fixed_rate("work", name, period=10, payload={"tenant": "t"}) for name in "ab")
    limit_by_key()
    waiting = fire_timer("work", "a", delay=60)
    Timer.objects.update(limit_key=None)
    with OtherSession(time.now) as holder, OtherSession(time.now) as manager:
        holder.begin()
        holder.run(lambda: lock_timers([second.id]))
        acting = manager.start(lambda: rekey_again(group.id))
        manager.waits_for_a_lock()
        holder.run(lambda: Waiting.objects.select_for_update(nowait=True).get(id=waiting))
        holder.rollback()
        acting.result(10)
    assert (
        set(Timer.objects.values_list("limit_key", flat=True)) == {Timer.objects.get(id=first.id).limit_key} != {None}
    )
