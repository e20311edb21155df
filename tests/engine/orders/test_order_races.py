"""Workers, persons and rescues at the same orders at once: no deadlock, and no order that stands for ever."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from random import Random
from threading import Event
from typing import Any

import pytest

from tests.engine.orders.conftest import END, Continues, action
from tests.support.handlers import TemporaryHandlers
from tests.support.sessions import OtherSession, in_threads
from timers.control.chains.define import create_chain, delete_chain
from timers.control.chains.orders import cancel_order, move_order, resume_order, suspend_order
from timers.control.chains.steps import activate_step, skip_step, stop_step
from timers.engine.orders.holds import unblock_all
from timers.engine.orders.releasing import pass_deadlines, release_orders
from timers.exceptions import InvalidRequest, NotAllowedNow, TimerNotFound
from timers.executions import cancel_execution
from timers.insights.doctor import places
from timers.models import Attempt, ChainOrder, Claim, TimerGroup, Waiting
from timers.scheduling import cancel_timer, schedule_many
from timers.testing import Stepper, VirtualTime

pytestmark = pytest.mark.usefixtures("committed")

STEPS: dict[str, Any] = {
    "first": action("fork", max_orders=3),
    "fork": {"kind": "fork", "branches": {"left": "l", "right": "r"}, "join": "join"},
    "l": action("join", locks=["door"]),
    "r": action("join", "tests.flaky", locks=["door"]),
    "join": {"kind": "join", "mode": "any", "next": "last"},
    "last": action("end", max_orders=2),
    "clean": action("end"),
    "end": END,
}
ORDERS = 40


def test_workers_persons_and_rescues_never_deadlock(
    group: TimerGroup, time: VirtualTime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.flaky", *[OSError("once"), {}, {}] * 400)
    create_chain("work", "main", {"start": "first", "steps": STEPS, "finally": "clean", "locks": {"door": 2}})
    to_chain = {"kind": "chain", "chain": "main"}
    names = [f"{number}" for number in range(ORDERS)]
    schedule_many(
        [{"kind": "once", "group": "work", "name": name, "after": 0, "action": to_chain} for name in names]
    )  # fmt: skip
    is_over = Event()

    def work(number: int, chance: Random) -> None:
        worker = Continues(time, f"w{number}") if number % 2 else Stepper(time, f"w{number}")
        rescuer = Stepper(time, f"r{number}")
        while not is_over.is_set():
            worker.claim(limit=4)
            match chance.randrange(8):
                case 0:
                    worker.release()
                case 1:
                    worker.held = []
                    rescuer.rescue(worker)
                case _:
                    worker.run()
                    for _ in range(20):
                        worker.finish()
                        if not worker.outcomes:
                            break
        worker.release()
        while worker.outcomes:
            worker.finish()

    def meddle(chance: Random) -> None:
        verbs: list[Callable[[str], object]] = [
            suspend_order, resume_order, resume_order, cancel_order, lambda order: move_order(order, "last"),
            cancel_execution,
        ]  # fmt: skip
        for turn in range(120):
            rows = list(ChainOrder.objects.filter(ended_at=None).values_list("id", flat=True))
            if rows:
                with suppress(NotAllowedNow, InvalidRequest, TimerNotFound):
                    chance.choice(verbs)(str(chance.choice(rows)))
            if turn % 10 == 5:
                chance.choice([stop_step, skip_step])("work", "main", chance.choice(["first", "l", "r", "last"]))
            if turn % 30 == 29:
                with suppress(NotAllowedNow):
                    cancel_timer("work", chance.choice(names))
            if turn % 10 == 9:
                for step in ("first", "l", "r", "last"):
                    activate_step("work", "main", step)
        is_over.set()

    def keep(_: Random) -> None:
        while not is_over.is_set():
            release_orders()
            pass_deadlines()
            unblock_all()

    def play(number: int) -> None:
        time.show()
        chance = Random(number)
        try:
            if number == 0:
                meddle(chance)
            elif number == 1:
                keep(chance)
            else:
                work(number, chance)
        finally:
            if number == 0:
                is_over.set()

    results = in_threads(5, play)
    assert [result for result in results if isinstance(result, Exception)] == []
    for _ in range(30):
        node.advance(3600)
        for order in ChainOrder.objects.filter(state="suspended", ended_at=None):
            resume_order(str(order.id))
    left = ChainOrder.objects.exclude(state__in=["ended", "failed"])
    assert list(left.values_list("step", "state", "parent")) == []
    assert not Claim.objects.exists()
    assert set(Waiting.objects.values_list("state", flat=True)) <= {"failed"}
    for look in (places.in_two_places, places.finished_but_held):
        assert look(node.time.now) == []
    # Some were cancelled before they began.
    finals = set(Attempt.objects.filter(outcome__in=Attempt.FINAL).values_list("id", flat=True))
    assert set(ChainOrder.objects.filter(state="ended").values_list("id", flat=True)) <= finals


def test_chain_is_not_deleted_while_an_order_of_it_begins(group: TimerGroup, time: VirtualTime, node: Stepper) -> None:
    create_chain("work", "main", {"start": "first", "steps": {"first": action("end"), "end": END}})
    schedule_many(
        [{"kind": "once", "group": "work", "name": "o", "after": 0, "action": {"kind": "chain", "chain": "main"}}]
    )
    node.claim()
    node.run()
    with OtherSession(time.now) as session, OtherSession(time.now) as person:
        session.begin()
        session.run(node.finish)
        deleted = person.start(lambda: delete_chain("work", "main"))
        person.waits_for_a_lock()
        session.commit()
        with pytest.raises(NotAllowedNow, match="under way"):
            deleted.result(timeout=20)
