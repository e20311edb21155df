"""Verbs of steps, chains and locks release orders after their commit; whatever they leave, the nodes release."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from tests.engine.orders.conftest import END, action
from tests.support.handlers import TemporaryHandlers
from tests.support.sessions import OtherSession
from timers.control.chains import steps
from timers.control.chains.define import create_chain
from timers.control.chains.locks import set_lock
from timers.control.chains.steps import activate_step, skip_step, start_chain, stop_chain, stop_step
from timers.models import Chain, ChainOrder, Timer, TimerGroup, Waiting
from timers.scheduling import schedule_many
from timers.testing import Stepper, VirtualTime

pytestmark = pytest.mark.usefixtures("committed")

Verb = Callable[[], object]


def add_orders(count: int) -> None:
    to_chain = {"kind": "chain", "chain": "main"}
    schedule_many(
        [{"kind": "once", "group": "work", "name": f"{n}", "after": 0, "action": to_chain} for n in range(count)]
    )


@pytest.fixture
def standing(group: TimerGroup, node: Stepper, handlers: TemporaryHandlers) -> None:
    """Two orders that stand before the step "a"."""
    create_chain("work", "main", {"start": "a", "steps": {"a": action("end"), "end": END}})
    stop_step("work", "main", "a")
    add_orders(2)
    node.step()
    assert states() == {"at_stopped"}


def states() -> set[str]:
    return set(ChainOrder.objects.values_list("state", flat=True))


VERBS: dict[str, Verb] = {
    "activate": lambda: activate_step("work", "main", "a"),
    "skip": lambda: skip_step("work", "main", "a"),
}


@pytest.mark.usefixtures("standing")
@pytest.mark.parametrize("verb", VERBS)
def test_verb_of_a_step_waits_for_no_timer_while_it_holds_the_chain(verb: str, time: VirtualTime) -> None:
    with OtherSession(time.now) as other:
        other.begin()
        # Another transaction has locked an order's timer, and needs the chain next: the order of locks.
        other.run(lambda: list(Timer.objects.select_for_update(no_key=True)))
        with transaction.atomic():
            VERBS[verb]()
            assert states() == {"at_stopped"}
        other.run(lambda: Chain.objects.select_for_update(nowait=True).get())
        other.commit()


@pytest.mark.usefixtures("standing")
def test_orders_are_released_by_the_commit_of_the_verb() -> None:
    with transaction.atomic():
        activate_step("work", "main", "a")
        assert states() == {"at_stopped"}
    assert states() == {"ready"}
    stop_chain("work", "main")
    start_chain("work", "main")
    assert not Chain.objects.get().is_releasing


@pytest.mark.usefixtures("standing")
def test_verb_that_is_rolled_back_releases_nothing() -> None:
    with transaction.atomic():
        activate_step("work", "main", "a")
        transaction.set_rollback(True)
    assert states() == {"at_stopped"}


@pytest.mark.usefixtures("standing")
def test_nodes_release_the_orders_of_a_process_that_died_after_the_commit(
    node: Stepper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies() -> None:
        raise RuntimeError("the process died")

    monkeypatch.setattr(steps, "release_orders", dies)
    assert activate_step("work", "main", "a").state == "active"
    assert (states(), Chain.objects.get().is_releasing) == ({"at_stopped"}, True)
    monkeypatch.undo()
    node.until_idle()
    assert states() == {"ended"}


def test_capacity_of_a_lock_is_changed_without_waiting_for_its_scope(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    set_lock("work", "door", 1)
    steps_: dict[str, Any] = {"a": action("end", locks=["door"]), "end": END}
    create_chain("work", "main", {"start": "a", "steps": steps_, "locks": {"door": "shared"}})
    add_orders(3)
    node.step()
    node.claim()
    assert Waiting.objects.filter(state="blocked").count() == 2
    with transaction.atomic():
        set_lock("work", "door", 2)
        assert Waiting.objects.filter(state="blocked").count() == 2
    assert Waiting.objects.filter(state="blocked").count() == 1
