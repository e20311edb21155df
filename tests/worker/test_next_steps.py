"""A worker claims next steps with the end of steps while it leaves no due work, and forgets none of them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import OperationalError

from tests import factories
from tests.support.eventually import eventually
from tests.support.executions import started
from tests.support.handlers import TemporaryHandlers
from tests.worker.claiming import Bench
from timers.actions import parse
from timers.clock import DatabaseClock
from timers.control.chains.define import create_chain
from timers.domain.cluster_modes import NodeMode
from timers.engine.finish import Finished, finish
from timers.models import Attempt, Claim, TimerGroup, Waiting
from timers.scheduling import schedule_many, schedule_once
from timers.testing import Stepper
from timers.worker import claimer as claimer_module
from timers.worker import recorder as recorder_module
from timers.worker.attempts import looked_at, returned
from timers.worker.capacity import Capacity, Slots
from timers.worker.minute_stats import MinuteStats
from timers.worker.next_steps import NextSteps
from timers.worker.options import NodeOptions
from timers.worker.recorder import Recorder
from timers.worker.run_time_mean import Pace

TO_CHAIN = {"kind": "chain", "chain": "main"}


def steps(number: int) -> dict[str, Any]:
    names = [f"s{each}" for each in range(number)]
    following = [*names[1:], "end"]
    found: dict[str, Any] = {
        name: {"action": {"handler": "tests.noop"}, "next": after} for name, after in zip(names, following, strict=True)
    }
    return {**found, "end": {"kind": "end"}}


class Worker(Bench):
    """Claimer and recorder of one worker, stepped by the test; its handlers return at once."""

    def __init__(self, node: Stepper, *, threads: int = 1) -> None:
        super().__init__(node, threads=threads, run_seconds=10, idle=lambda _: threads - len(self.held))
        self.recorder = Recorder(
            node.holder, DatabaseClock(node.time.now), self.started, MinuteStats(node.node.id), self._recorded,
            lambda _: None, self.next_steps,
        )  # fmt: skip
        self.steps: list[str] = []
        self._now_us = node.time.us

    def _recorded(self, finished: Finished) -> None:
        self.claimer.hold(finished.continued)
        ended = [each.execution for each, _ in finished.verdicts]
        self.claimer.no_longer_held(ended + [each.execution for each in finished.refused])

    def run(self) -> None:
        """Run and record what it holds."""
        ran, self.held = self.held, []
        self.steps += [f"{each.name} {each.step}" for each in ran]
        self.recorder.put(
            [returned(each, None, self._now_us, self._now_us) if each.step else looked_at(each, self._now_us)
             for each in ran]
        )  # fmt: skip
        self.recorder.step()


def begin(node: Stepper, *names: str) -> None:
    """Starts orders; their first steps wait."""
    for name in names:
        schedule_once("work", name, after=0, action=TO_CHAIN)
    node.step()


@pytest.fixture
def worker(node: Stepper, handlers: TemporaryHandlers) -> Worker:
    factories.group("work")
    create_chain("work", "main", {"start": "s0", "steps": steps(4)})
    return Worker(node)


def test_order_goes_through_its_steps_without_further_claims_of_the_claimer(worker: Worker, node: Stepper) -> None:
    begin(node, "o")
    worker.step()
    worker.step()
    for _ in range(4):
        worker.run()
    assert worker.steps == ["o s0", "o s1", "o s2", "o s3"]
    assert Attempt.objects.filter(outcome="succeeded").count() == 1
    assert (worker.claimer.held, Claim.objects.count(), Waiting.objects.count()) == (0, 0, 0)


def test_orders_of_one_group_take_turns(worker: Worker, node: Stepper) -> None:
    begin(node, "a", "b")
    for _ in range(8):
        worker.step()
        worker.run()
    assert [each.split()[1] for each in worker.steps] == ["s0", "s0", "s1", "s1", "s2", "s2", "s3", "s3"]
    assert Attempt.objects.filter(outcome="succeeded").count() == 2


def test_order_hands_over_to_due_work_of_another_group(worker: Worker, node: Stepper) -> None:
    begin(node, "o")
    worker.step()
    worker.step()
    worker.run()
    factories.group("other")
    worker.pace.learn({each.id: 10 for each in TimerGroup.objects.all()})
    schedule_once("other", "due", after=0)
    for _ in range(4):
        worker.step()
        worker.run()
    assert worker.steps[:2] == ["o s0", "o s1"]
    assert "due " in worker.steps[2:4]


def test_worker_goes_on_with_an_order_again_when_nothing_is_left_for_lack_of_room(worker: Worker) -> None:
    assert worker.next_steps.offer() is None, "before its first look"
    schedule_many([{"kind": "once", "group": "work", "name": f"{n}", "after": 0} for n in range(2)])
    worker.step()
    assert worker.next_steps.offer() is None
    worker.run()
    worker.step()
    worker.run()
    worker.step()
    assert worker.next_steps.offer() is not None


def test_next_step_whose_claim_was_committed_unheard_is_given_back(
    worker: Worker, node: Stepper, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(node, "o")
    worker.step()
    worker.step()

    def finish_and_lose_the_answer(*args: Any) -> Finished:
        finish(*args)
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(claimer_module, "OUTCOMES_SECONDS", 0)
    with monkeypatch.context() as patch:
        patch.setattr(recorder_module, "finish", finish_and_lose_the_answer)
        with pytest.raises(OperationalError):
            worker.run()
    assert Claim.objects.count() == 1
    assert worker.next_steps.offer() is None
    worker.recorder.step()
    assert worker.recorder.counters.refused == 1, "the step has been recorded"
    for _ in range(6):
        worker.step()
        worker.run()
    assert [each for each in worker.steps if each.startswith("o s")] == ["o s0", "o s1", "o s2", "o s3"]
    assert Attempt.objects.filter(outcome="succeeded").count() == 1
    assert not Attempt.objects.filter(outcome="lost").exists()


def test_next_step_that_is_held_survives_the_look_for_claims_that_were_unheard(worker: Worker, node: Stepper) -> None:
    begin(node, "o")
    worker.step()
    worker.step()
    worker.run()
    worker.next_steps.is_unsure = True
    worker.step()
    assert [each.step for each in worker.held] == ["s1"]
    assert Claim.objects.get().id == worker.held[0].fence
    assert not worker.next_steps.is_unsure


@pytest.mark.parametrize(
    "refuse",
    [
        lambda each: each.end(),
        lambda each: setattr(each, "is_unsure", True),
        lambda each: setattr(each, "is_allowed", False),
        lambda each: each._started.take_back(),
        lambda each: each._started.lease_is_sure_until(0.0),
    ],
    ids=["it ends", "a claim is unsure", "work is left", "taken back", "the lease is unsure"],
)
def test_no_next_step_is_claimed_by_a_worker_that_must_not(refuse: Callable[[NextSteps], object]) -> None:
    next_steps = NextSteps(NodeOptions("a"), lambda: lambda _: True, started())
    next_steps.is_allowed = True
    assert next_steps.offer() is not None
    refuse(next_steps)
    assert next_steps.offer() is None


def test_node_of_a_passive_cluster_claims_no_next_step() -> None:
    options = NodeOptions("a", mode=NodeMode("exclusive"))
    next_steps = NextSteps(options, lambda: lambda _: True, started())
    next_steps.is_allowed = True
    assert next_steps.offer() is None


def test_next_steps_take_idle_slots_of_their_kind_and_places_of_their_target() -> None:
    idle = {Slots.THREADS: 1, Slots.ASYNC: 5}
    take = Capacity(4, 40, Pace(), per_target=2, idle=lambda slots: idle[slots]).idle_slots()
    plain, call = parse({"handler": "tests.noop"}), parse({"kind": "http", "url": "https://example.org/"})
    other = parse({"kind": "http", "url": "https://other.example.org/"})
    assert [take(plain), take(plain)] == [True, False]
    assert [take(call), take(call), take(call), take(other)] == [True, True, False, True]


def test_end_waits_for_a_claim_in_progress() -> None:
    next_steps = NextSteps(NodeOptions("a"), lambda: lambda _: True, started())
    next_steps.is_allowed = True
    next_steps.claiming.acquire()
    with ThreadPoolExecutor(1) as thread:
        ended = thread.submit(next_steps.end)
        eventually(lambda: next_steps.offer() is None)
        assert not ended.done()
        next_steps.claiming.release()
        ended.result(timeout=20)
