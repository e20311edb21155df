"""The limit keys of a group are set again while timers are replaced, changed and run: nobody waits in a ring."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.sessions import OtherSession
from timers.control.declaration import CODE, Declaration, Declared
from timers.control.sync import reconcile
from timers.models import Timer, TimerGroup
from timers.scheduling import schedule_many, update_group
from timers.testing import VirtualTime

pytestmark = pytest.mark.usefixtures("committed")


def spec(name: str, tenant: str, **fields: Any) -> dict[str, Any]:
    return {"kind": "once", "group": "work", "name": name, "after": 60, "payload": {"tenant": tenant}, **fields}


def replace_all() -> object:
    return schedule_many([spec(name, "b") for name in ("one", "two", "new")], on_conflict="replace")


def replace_with_priority() -> object:
    return schedule_many([spec(name, "b", priority=7) for name in ("one", "two")], on_conflict="replace")


def declare(*names: str, tenant: str = "b") -> object:
    rate = {"kind": "fixed_rate", "group": "work", "period": 60, "payload": {"tenant": tenant}}
    return reconcile(Declared(CODE, [Declaration({**rate, "name": name}, "app.timer_handlers") for name in names]))


def declare_all() -> object:
    return declare("one", "two", "new")


@pytest.mark.parametrize("replace", [replace_all, replace_with_priority, declare_all])
@pytest.mark.parametrize("keyed", [False, True])
def test_rekey_waits_for_timers_that_are_replaced_in_bulk(
    group: TimerGroup, time: VirtualTime, replace: Callable[[], object], keyed: bool
) -> None:
    if keyed:
        update_group("work", concurrency_key="payload.user", max_concurrency_per_key=1)
    if replace is declare_all:
        declare("one", "two", tenant="a")
    else:
        schedule_many([spec(name, "a") for name in ("one", "two")])
    with OtherSession(time.now) as holds, OtherSession(time.now) as replaces, OtherSession(time.now) as changes:
        holds.begin()
        holds.run(lambda: list(Timer.objects.filter(name="two").select_for_update()))
        replaced = replaces.start(replace)  # has one, and waits for two
        replaces.waits_for_a_lock()
        changed = changes.start(
            lambda: update_group("work", concurrency_key="payload.tenant", max_concurrency_per_key=2)
        )
        changes.waits_for_a_lock()
        holds.commit()
        replaced.result(timeout=20)
        changed.result(timeout=20)
    keys = dict(Timer.objects.values_list("name", "limit_key"))
    assert set(keys.values()) == {"b"}
