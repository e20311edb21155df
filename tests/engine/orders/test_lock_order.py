"""The order of locks: timers, then roots of trees, then places. Whoever ends orders waits for the roots first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.engine.orders.conftest import END, action
from tests.support.handlers import TemporaryHandlers
from tests.support.sessions import OtherSession
from timers.control.chains.define import create_chain
from timers.control.chains.orders import resume_order
from timers.control.executions import cancel_waiting, dismiss_failed
from timers.engine.advance import lock_timers
from timers.engine.end_waiting import end_waiting
from timers.engine.operations import carry_out
from timers.engine.orders.places import lock_places
from timers.engine.orders.rows import lock_roots, lock_trees_of
from timers.exceptions import NotAllowedNow
from timers.executions import start_operation
from timers.handlers import Fail
from timers.models import Attempt, ChainLock, ChainOrder, Timer, TimerGroup, Waiting
from timers.scheduling import schedule_once
from timers.testing import Stepper, VirtualTime

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def failed(group: TimerGroup, node: Stepper, handlers: TemporaryHandlers) -> str:
    """A failed order, parked."""
    handlers.script("tests.bad", *[Fail("broken for good")] * 9)
    create_chain("work", "main", {"start": "a", "steps": {"a": action("end", "tests.bad"), "end": END}})
    return add_failed("order", node)


def add_failed(name: str, node: Stepper) -> str:
    schedule_once("work", name, after=0, action={"kind": "chain", "chain": "main"})
    node.until_idle()
    order = ChainOrder.objects.get(name=name)
    assert order.state == "failed"
    return str(order.id)


def by_operation(order: str) -> None:
    start_operation("dismiss", {"group": "work"})
    carry_out()


ENDS: dict[str, Callable[[str], Any]] = {
    "dismiss": lambda order: dismiss_failed([order]),
    "cancel": lambda order: cancel_waiting([order]),
    "operation": by_operation,
}


@pytest.mark.parametrize("end", ENDS)
def test_end_of_a_failed_order_waits_for_its_tree_before_it_locks_the_place(
    failed: str, end: str, time: VirtualTime
) -> None:
    with OtherSession(time.now) as worker, OtherSession(time.now) as person:
        worker.begin()
        worker.run(lambda: lock_roots([failed]))
        ended = person.start(lambda: ENDS[end](failed))
        person.waits_for_a_lock()
        # The worker has the root, and takes the place next: the person must not have it.
        assert list(worker.run(lambda: lock_places([failed]))) == [failed]
        worker.commit()
        ended.result(timeout=20)
    assert ChainOrder.objects.get(id=failed).state == "ended"
    assert not Waiting.objects.exists()


@pytest.mark.parametrize("end", ENDS)
def test_end_of_many_waits_for_all_timers_before_it_locks_a_tree(
    failed: str, end: str, node: Stepper, time: VirtualTime
) -> None:
    other = add_failed("other", node)
    calls = {
        **ENDS,
        "dismiss": lambda _: dismiss_failed([failed, other]),
        "cancel": lambda _: cancel_waiting([failed, other]),
    }
    last = max(Timer.objects.values_list("id", flat=True))
    with OtherSession(time.now) as worker, OtherSession(time.now) as person:
        worker.begin()
        worker.run(lambda: lock_timers([last]))
        ended = person.start(lambda: calls[end](failed))
        person.waits_for_a_lock()
        assert worker.run(lambda: lock_trees_of([failed, other])) == {failed, other}
        worker.commit()
        ended.result(timeout=20)
    assert set(ChainOrder.objects.values_list("state", flat=True)) == {"ended"}


@pytest.fixture
def parked_branch(group: TimerGroup, node: Stepper, handlers: TemporaryHandlers) -> str:
    """A branch whose step could not be read."""
    ChainLock.objects.create(group=group, name="door", capacity=1)
    steps = {
        "fork": {"kind": "fork", "branches": {"left": "l"}, "join": "join"},
        "l": action("join", locks=["door"]),
        "join": {"kind": "join", "on_branch_failure": "ignore", "next": "end"},
        "end": END,
    }
    create_chain("work", "split", {"start": "fork", "steps": steps, "locks": {"door": "shared"}})
    schedule_once("work", "split", after=0, action={"kind": "chain", "chain": "split"})
    node.step()
    ChainLock.objects.all().delete()
    node.until_idle()
    return str(Waiting.objects.get(state="failed").id)


@pytest.mark.parametrize("end", ["dismiss", "operation"])
def test_end_of_a_branch_and_others_waits_for_all_timers_before_it_locks_its_tree(
    parked_branch: str, failed: str, end: str, time: VirtualTime
) -> None:
    calls = {**ENDS, "dismiss": lambda _: dismiss_failed([parked_branch, failed])}
    last = max(Timer.objects.values_list("id", flat=True))
    with OtherSession(time.now) as worker, OtherSession(time.now) as person:
        worker.begin()
        worker.run(lambda: lock_timers([last]))
        ended = person.start(lambda: calls[end](failed))
        person.waits_for_a_lock()
        assert worker.run(lambda: lock_trees_of([parked_branch])) == {parked_branch}
        worker.commit()
        ended.result(timeout=20)
    assert set(ChainOrder.objects.values_list("state", flat=True)) <= {"ended", "ready"}


def test_order_that_another_transaction_changes_is_left_where_nobody_waits(failed: str, time: VirtualTime) -> None:
    with OtherSession(time.now) as worker:
        worker.begin()
        worker.run(lambda: lock_roots([failed]))
        assert end_waiting("id = ANY(%(ids)s::uuid[])", "failed", "dismissed", ids=[failed]) == []
        worker.rollback()
    assert end_waiting("id = ANY(%(ids)s::uuid[])", "failed", "dismissed", ids=[failed]) == [failed]


def test_order_is_either_resumed_or_dismissed(failed: str, node: Stepper, time: VirtualTime) -> None:
    with OtherSession(time.now) as first, OtherSession(time.now) as second:
        first.begin()
        first.run(lambda: resume_order(failed))
        dismissed = second.start(lambda: dismiss_failed([failed]))
        second.waits_for_a_lock()
        first.commit()
        assert dismissed.result(timeout=20) == 0
    node.until_idle()
    assert dismiss_failed([failed]) == 1
    with pytest.raises(NotAllowedNow):
        resume_order(failed)
    assert Attempt.objects.filter(id=failed).count() == 1


def test_place_of_an_order_that_is_gone_is_ended_all_the_same(failed: str) -> None:
    ChainOrder.objects.all().delete()
    assert dismiss_failed([failed]) == 1
    assert not Waiting.objects.exists()
