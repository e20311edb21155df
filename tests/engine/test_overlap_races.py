"""Two sessions at one timer's executions: what is to make way does, and nobody waits for another in a circle."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import suppress
from random import Random

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import finals_of, words_of
from tests.support.sessions import OtherSession, in_threads
from timers.control.executions import cancel_waiting
from timers.control.groups import update_group
from timers.engine.rescue import rescue_node
from timers.exceptions import NotAllowedNow
from timers.handlers import Fire
from timers.models import Attempt, Claim, Timer, TimerGroup, Waiting
from timers.scheduling import cancel_timer, pause_timer, resume_timer, schedule_fixed_rate, update_timer
from timers.testing import Stepper, VirtualTime

pytestmark = pytest.mark.usefixtures("committed", "handlers")


def timer_of(policy: str, **more: object) -> Timer:
    factories.group("work", overlap_policy=policy, **more)
    return Timer.objects.get(id=schedule_fixed_rate("work", "second", period=1).id)


@pytest.fixture
def other(time: VirtualTime) -> Stepper:
    return Stepper(time, "node-b")


def claimed_and_due_again(timer: Timer, node: Stepper) -> str:
    """The execution that the node has claimed; the timer's next instant has come."""
    node.time.advance(1)
    (execution,) = node.claim()
    node.time.advance(1)
    return execution.id


def waits_for_a_retry(timer: Timer, node: Stepper, handlers: TemporaryHandlers) -> str:
    """The execution whose first try failed; it and the timer's next instant are due."""
    handlers.script("tests.noop", ValueError("down"), None)
    node.time.advance(1)
    node.step()
    node.time.advance(1)
    return str(Waiting.objects.get(state="ready").id)


def is_revoked(execution: str) -> bool:
    return any(execution in map(str, claim.revoked or []) for claim in Claim.objects.all())


def test_a_retry_that_is_just_being_taken_up_is_asked_to_end_by_the_next_fire(
    node: Stepper, other: Stepper, handlers: TemporaryHandlers
) -> None:
    timer = timer_of("replace", retry={"min_backoff": 1, "max_backoff": 1})
    retry = waits_for_a_retry(timer, node, handlers)
    Timer.objects.update(state="paused")
    with OtherSession(node.time.now) as session:
        session.begin()
        assert [execution.id for execution in session.run(other.claim)] == [retry]
        Timer.objects.update(state="active")
        with OtherSession(node.time.now) as firing:
            fired = firing.start(node.claim)
            firing.waits_for_a_lock()
            session.commit()
            assert fired.result(timeout=10) == []
    assert is_revoked(retry)
    assert Waiting.objects.get().state == "queued"
    other.until_idle()
    node.until_idle()
    assert words_of(timer) == ["error", "cancelled", "succeeded"]


def test_a_retry_that_is_just_being_taken_up_is_cancelled_before_it_begins(
    node: Stepper, other: Stepper, handlers: TemporaryHandlers
) -> None:
    timer = timer_of("skip", retry={"min_backoff": 1, "max_backoff": 1})
    retry = waits_for_a_retry(timer, node, handlers)
    pause_timer("work", "second")
    with OtherSession(node.time.now) as session:
        session.begin()
        assert [execution.id for execution in session.run(other.claim)] == [retry]
        with OtherSession(node.time.now) as person:
            cancelled = person.start(lambda: cancel_timer("work", "second"))
            person.waits_for_a_lock()
            session.commit()
            answer = cancelled.result(timeout=10)
    assert (answer.in_flight, answer.cancelled) == ([], 1)
    other.until_idle()
    assert words_of(timer) == ["error", "cancelled"]


def test_what_is_just_being_given_back_makes_way_for_the_next_fire(node: Stepper, other: Stepper) -> None:
    timer = timer_of("replace")
    execution = claimed_and_due_again(timer, node)
    with OtherSession(node.time.now) as draining:
        draining.begin()
        assert draining.run(node.release) == 1
        with OtherSession(node.time.now) as firing:
            fired = firing.start(other.claim)
            firing.waits_for_a_lock()
            draining.commit()
            fired.result(timeout=10)
    assert [(str(row.id), row.outcome) for row in finals_of(timer)] == [(execution, "cancelled")]
    other.until_idle()
    assert words_of(timer) == ["cancelled", "succeeded"]


def test_a_fire_leaves_a_timer_alone_whose_execution_is_just_ending(node: Stepper, other: Stepper) -> None:
    timer = timer_of("replace")
    claimed_and_due_again(timer, node)
    node.run()
    with OtherSession(node.time.now) as recording:
        recording.begin()
        assert len(recording.run(node.finish).verdicts) == 1
        assert other.claim() == []
        recording.commit()
    assert len(other.claim()) == 1
    assert not Waiting.objects.exists()
    assert words_of(timer) == ["succeeded"]


@pytest.mark.parametrize(("raises", "word"), [(False, "succeeded"), (True, "cancelled")])
def test_an_execution_that_ends_while_it_is_being_replaced_lets_its_successor_begin(
    node: Stepper, other: Stepper, handlers: TemporaryHandlers, raises: bool, word: str
) -> None:
    timer = timer_of("replace")
    claimed_and_due_again(timer, node)
    if raises:
        handlers.script("tests.noop", InterruptedError("stopped"), None)
    node.run()
    with OtherSession(node.time.now) as firing:
        firing.begin()
        assert firing.run(other.claim) == []
        assert len(node.finish().deferred) == 1, "the timer is locked"
        firing.commit()
    assert len(node.finish().verdicts) == 1
    assert len(other.claim()) == 1
    assert words_of(timer) == [word]


def test_a_cancel_takes_what_the_queue_is_just_letting_go(node: Stepper, other: Stepper) -> None:
    timer = timer_of("queue")
    claimed_and_due_again(timer, node)
    assert other.claim() == []
    node.run()
    with OtherSession(node.time.now) as recording:
        recording.begin()
        recording.run(node.finish)
        with OtherSession(node.time.now) as person:
            cancelled = person.start(lambda: cancel_timer("work", "second"))
            person.waits_for_a_lock()
            recording.commit()
            answer = cancelled.result(timeout=10)
    assert (answer.cancelled, answer.in_flight) == (1, [])
    assert words_of(timer) == ["succeeded", "cancelled"]
    assert other.claim() == []


def test_a_queue_lets_nothing_go_that_is_just_being_cancelled(node: Stepper, other: Stepper) -> None:
    timer = timer_of("queue")
    claimed_and_due_again(timer, node)
    assert other.claim() == []
    node.run()
    with OtherSession(node.time.now) as person:
        person.begin()
        assert person.run(lambda: cancel_timer("work", "second")).cancelled == 1
        assert len(node.finish().deferred) == 1
        person.commit()
    node.finish()
    assert words_of(timer) == ["succeeded", "cancelled"]
    assert not Waiting.objects.exists()


def test_one_cancelled_out_of_the_queue_is_not_the_one_that_begins(node: Stepper, other: Stepper) -> None:
    timer = timer_of("queue", max_queued=2)
    claimed_and_due_again(timer, node)
    node.time.advance(1)
    assert other.claim() == []
    first, second = Waiting.objects.order_by("id")
    node.run()
    with OtherSession(node.time.now) as person:
        person.begin()
        assert person.run(lambda: cancel_waiting([str(first.id)])) == 1
        assert len(node.finish().deferred) == 1
        person.commit()
    node.finish()
    assert [(row.id, row.state) for row in Waiting.objects.all()] == [(second.id, "ready")]
    assert words_of(timer) == ["succeeded", "cancelled"]


def test_a_rescue_waits_for_a_replacing_fire_and_tries_nothing_again(node: Stepper, other: Stepper) -> None:
    timer = timer_of("replace")
    claimed_and_due_again(timer, node)
    with OtherSession(node.time.now) as firing:
        firing.begin()
        assert firing.run(other.claim) == []
        with OtherSession(node.time.now) as judge:
            rescued = judge.start(lambda: rescue_node(node.node.id, node.time.us, "node-a died"))
            judge.waits_for_a_lock()
            firing.commit()
            assert rescued.result(timeout=10).cancelled == 1
    assert words_of(timer) == ["cancelled"]
    assert len(other.claim()) == 1


def test_a_fire_leaves_a_timer_alone_whose_execution_is_just_being_rescued(node: Stepper, other: Stepper) -> None:
    timer = timer_of("replace")
    claimed_and_due_again(timer, node)
    with OtherSession(node.time.now) as judge:
        judge.begin()
        assert judge.run(lambda: rescue_node(node.node.id, node.time.us, "node-a died")).ready == 1
        assert other.claim() == []
        judge.commit()
    assert len(other.claim()) == 1, "the rescued one; and the fire that comes with it asks it to end"
    other.until_idle()
    assert words_of(timer) == ["lost", "cancelled", "succeeded"]


def test_a_new_priority_waits_for_its_group_before_it_takes_the_timer(time: VirtualTime) -> None:
    timer_of("skip")
    with OtherSession(time.now) as editing:
        editing.begin()
        editing.run(lambda: update_group("work", description="another"))
        with OtherSession(time.now) as person:
            edited = person.start(lambda: update_timer("work", "second", priority=7))
            person.waits_for_a_lock()
            # Whoever holds the group may want its timers.
            assert editing.run(lambda: Timer.objects.select_for_update(nowait=True).get()).name == "second"
            editing.commit()
            assert edited.result(timeout=10).priority == 7
    assert TimerGroup.objects.get().timer_priorities == [7, 0]


def test_timers_are_created_in_a_group_that_is_just_being_edited(time: VirtualTime) -> None:
    timer_of("skip")
    with OtherSession(time.now) as editing:
        editing.begin()
        editing.run(lambda: update_group("work", description="another"))
        schedule_fixed_rate("work", "meanwhile", period=1)
        editing.commit()
    assert Timer.objects.count() == 2


class Alone:
    """A handler that notes when it does not run alone for its timer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: Counter[str] = Counter()
        self.together = 0
        self.runs: list[str] = []

    def __call__(self, fire: Fire) -> None:
        with self._lock:
            self._running[fire.name] += 1
            self.together += self._running[fire.name] > 1
            self.runs.append(fire.execution_id)
        threading.Event().wait(0.001)
        with self._lock:
            self._running[fire.name] -= 1


def test_six_nodes_never_run_two_of_a_queue_at_once(time: VirtualTime, handlers: TemporaryHandlers) -> None:
    alone = Alone()
    handlers.add("tests.noop", alone)
    factories.group("work", overlap_policy="queue", misfire_policy="fire_all", max_queued=1000)
    timers = [schedule_fixed_rate("work", f"{n}", period=1) for n in range(3)]
    nodes = [Stepper(time) for _ in range(6)]
    time.advance(100)

    def work(number: int) -> None:
        time.show()
        node, idle = nodes[number], 0
        while idle < 20:
            idle = 0 if node.claim(limit=2) or node.outcomes else idle + 1
            node.run()
            node.finish()

    assert in_threads(6, work) == [None] * 6
    for node in nodes:
        node.until_idle()
    assert alone.together == 0
    for timer in timers:
        ran = [row.id for row in finals_of(timer)]
        assert words_of(timer) == ["succeeded"] * 100
        assert [run for run in alone.runs if run in set(map(str, ran))] == list(map(str, ran)), "in order"


def decide(random: Random, group: str, name: str) -> None:
    """A person does something to a timer, or to what waits."""
    match random.randrange(4):
        case 0:
            pause_timer(group, name)
        case 1:
            resume_timer(group, name)
        case 2:
            update_timer(group, name, priority=random.randrange(3))
        case _:
            cancel_waiting([str(row.id) for row in Waiting.objects.all()[:5]])


@pytest.mark.parametrize("seed", range(2))
def test_replacing_cancelling_rescuing_and_ending_at_once_never_wait_in_a_circle(
    time: VirtualTime, handlers: TemporaryHandlers, seed: int
) -> None:
    handlers.script("tests.noop", *[None, ValueError("down")] * 200, None)
    retry = {"max_retries": 2, "min_backoff": 0, "max_backoff": 0}
    factories.group("work", overlap_policy="replace", retry=retry)
    factories.group("queues", overlap_policy="queue", max_queued=3, retry=retry)
    for n in range(6):
        schedule_fixed_rate(("work", "queues")[n % 2], f"{n}", period=0.05, overrides={"misfire_grace": 3600})
    nodes = [Stepper(time) for _ in range(3)]
    time.advance(0.05)

    def act(number: int) -> None:
        random = Random(seed * 100 + number)
        for _ in range(25):
            time.show()
            node = nodes[number % 3]
            if number < 3:
                node.claim(limit=random.choice([1, 3, 100]))
                node.run()
                node.finish()
                if random.random() < 0.3:
                    node.release()
                time.advance(0.05)
            elif number == 3:
                rescue_node(random.choice(nodes).node.id, time.us, "presumed dead")
            else:
                n = random.randrange(6)
                names = (("work", "queues")[n % 2], f"{n}")
                with suppress(NotAllowedNow):
                    decide(random, *names)

    assert in_threads(6, act) == [None] * 6
    for n in range(6):
        with suppress(NotAllowedNow):
            cancel_timer(("work", "queues")[n % 2], f"{n}")
    time.advance(1)
    for node in nodes:
        node.until_idle()
        node.finish()
    assert not Claim.objects.exists()
    assert not Waiting.objects.exclude(state="failed").exists()
    final = Attempt.objects.filter(outcome__in=Attempt.FINAL).values_list("id", flat=True)
    assert len(set(final)) == len(final)
