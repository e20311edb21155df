"""Declared chains are reconciled in the order of locks: groups, then timers, then chains by rising id."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.handlers import TemporaryHandlers
from tests.support.sessions import OtherSession
from timers.control.chains.define import create_chain
from timers.control.chains.find import lock_chain
from timers.control.declaration import Declaration, Declared
from timers.control.groups import create_group, note_order_priorities
from timers.control.sync import reconcile
from timers.models import Chain, TimerGroup
from timers.testing import VirtualTime

pytestmark = pytest.mark.usefixtures("committed", "group")
SOURCE = "file:chains.yaml"


def definition(**fields: Any) -> dict[str, Any]:
    steps = {"a": {"action": {"handler": "tests.noop"}, "next": "end"}, "end": {"kind": "end"}}
    return {"steps": steps, **fields}


def sync(source: str = SOURCE, **chains: Any) -> object:
    found = [
        Declaration({"group": group, "name": name, "definition": spec}, "chains.yaml")
        for group, of_group in chains.items()
        for name, spec in of_group.items()
    ]
    return reconcile(Declared(source, [], chains=found))


def test_group_is_locked_before_the_chains_whose_orders_get_a_priority(
    handlers: TemporaryHandlers, time: VirtualTime
) -> None:
    create_group("other")
    sync(work={"main": definition()}, other={"main": definition()})
    with OtherSession(time.now) as person, OtherSession(time.now) as program:
        person.begin()
        person.run(lambda: note_order_priorities(TimerGroup.objects.get(name="other")))
        wanted = {"main": definition(priority=5)}
        changed = program.start(lambda: sync(work=wanted, other=wanted))
        program.waits_for_a_lock()
        # The person has the group, and takes the chain next.
        for group in ("work", "other"):
            assert person.run(lambda group=group: lock_chain(group, "main")).newest == 1  # type: ignore[misc]
        person.commit()
        changed.result(timeout=20)
    assert set(Chain.objects.values_list("newest", flat=True)) == {2}
    assert TimerGroup.objects.get(name="other").orders_by_priority


def test_chains_are_locked_by_rising_id_whatever_contains_what(handlers: TemporaryHandlers, time: VirtualTime) -> None:
    sub = {"steps": {"s": {"kind": "chain", "chain": "b", "next": "end"}, "end": {"kind": "end"}}}
    sync(work={"b": definition()})
    create_chain("work", "by_hand", definition())
    sync(work={"a": sub, "b": definition()})
    first, second = Chain.objects.exclude(name="by_hand").order_by("id").values_list("name", flat=True)
    with OtherSession(time.now) as person, OtherSession(time.now) as program:
        person.begin()
        person.run(lambda: lock_chain("work", first))
        changed = program.start(lambda: sync(work={"a": {**sub, "deadline": 60}, "b": definition(deadline=60)}))
        program.waits_for_a_lock()
        person.run(lambda: Chain.objects.select_for_update(nowait=True).get(name=second))
        person.commit()
        changed.result(timeout=20)
    assert set(Chain.objects.exclude(name="by_hand").values_list("newest", flat=True)) == {2}


def test_two_programs_that_create_chains_in_the_same_groups_do_not_deadlock(
    handlers: TemporaryHandlers, time: VirtualTime
) -> None:
    create_group("other")
    with OtherSession(time.now) as one, OtherSession(time.now) as two:
        one.begin()
        one.run(lambda: sync("file:one.yaml", other={"one": definition(priority=1)}, work={"one": definition()}))
        second = two.start(
            lambda: sync("file:two.yaml", work={"two": definition(priority=1)}, other={"two": definition(priority=1)})
        )
        two.waits_for_a_lock()
        one.run(lambda: sync("file:one.yaml", work={"one": definition(priority=1)}, other={"one": definition()}))
        one.commit()
        second.result(timeout=20)
    assert Chain.objects.count() == 4
