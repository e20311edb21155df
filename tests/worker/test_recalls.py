"""A worker's answers to changes: each on arrival, and nothing begins that was promised not to."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pytest
from django.db import connection

from tests import factories
from tests.support.eventually import eventually
from tests.support.handlers import TemporaryHandlers
from tests.support.sessions import OtherSession
from timers import clock
from timers.clock import DatabaseClock
from timers.engine import recall as recall_module
from timers.engine.execution import Execution
from timers.engine.outcome import Outcome
from timers.engine.recall import in_this_process
from timers.models import Claim, Node, Recall, Timer
from timers.scheduling import cancel_timer, schedule_once, update_timer
from timers.testing import Stepper, VirtualTime
from timers.worker import recalls as recalls_module
from timers.worker.in_flight import SIZE, Started
from timers.worker.recalls import Recalls

pytestmark = pytest.mark.usefixtures("committed")


class Queue:
    """Stands for the agenda, and for the executor."""

    def __init__(self) -> None:
        self.held: list[Execution] = []
        self.cancelled: set[str] = set()

    def take(self, ids: Collection[str] | None = None) -> list[Execution]:
        taken = [execution for execution in self.held if ids is None or execution.id in ids]
        self.held = [execution for execution in self.held if execution not in taken]
        return taken

    def cancel(self, ids: Collection[str]) -> None:
        self.cancelled |= set(ids)


class Bench:
    """The recalls of a worker, stepped by the test, with what the worker holds."""

    def __init__(self, holder: Stepper) -> None:
        self.agenda, self.executor = Queue(), Queue()
        self.begun: list[Execution] = []
        self.gone: list[Execution] = []
        self.outcomes: list[Outcome] = []
        self.started = Started(bytearray(SIZE))
        self.recalls = Recalls(
            holder.holder, DatabaseClock(clock.now()), self.started,
            self.agenda, self.executor,  # type: ignore[arg-type]
            begin=self.begun.extend, report=self.outcomes.extend, no_longer_held=self.gone.extend, polls=False,
        )  # fmt: skip


@pytest.fixture
def bench(handlers: TemporaryHandlers, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A worker in the real time that holds a one-shot which is due in a minute."""
    monkeypatch.setattr(recalls_module, "HAND_OVER_SECONDS", 0.0)
    factories.group("work")
    schedule_once("work", "t", after=60)
    node = Stepper(VirtualTime(clock.now()), "node-a", look_ahead=120)
    # Other sessions see the real time, and this one too from now on.
    with connection.cursor() as cursor:
        cursor.execute("RESET timers.virtual_now")
    Node.objects.filter(id=node.node.id).update(lease_expires_at="9000-01-01T00:00:00Z")
    in_this_process.pop((node.holder.node_id, node.holder.worker_pid))
    bench = Bench(node)
    bench.agenda.held = node.claim()
    assert len(bench.agenda.held) == 1
    return bench


def test_an_execution_that_has_not_begun_is_held_back_and_forgotten_after_the_commit(bench: Bench) -> None:
    (execution,) = bench.agenda.held
    with OtherSession() as session:
        session.begin()
        changed = session.start(lambda: update_timer("work", "t", after=120))
        serve(bench)
        assert changed.result(timeout=10).in_flight == []
        assert (bench.agenda.held, bench.recalls.pending) == ([], 1)
        bench.recalls.step()
        assert (bench.begun, bench.gone) == ([], []), "the change is not committed"
        session.commit()
    bench.recalls.step()
    assert (bench.gone, bench.begun, bench.recalls.pending) == ([execution], [], 0)
    assert not Recall.objects.exists()


def test_an_execution_goes_on_after_the_roll_back(bench: Bench) -> None:
    (execution,) = bench.agenda.held
    with OtherSession() as session:
        session.begin()
        changed = session.start(lambda: cancel_timer("work", "t"))
        serve(bench)
        assert changed.result(timeout=10).in_flight == []
        session.rollback()
    bench.recalls.step()
    assert (bench.begun, bench.gone) == ([execution], [])
    assert Timer.objects.get().state == "finished"


def test_an_execution_that_has_begun_is_in_flight(bench: Bench) -> None:
    (execution,) = bench.agenda.take()
    bench.started.begin(execution.id, 0, 1e9)
    with OtherSession() as session:
        changed = session.start(lambda: update_timer("work", "t", after=120))
        serve(bench)
        assert changed.result(timeout=10).in_flight == [execution.id]
    assert bench.recalls.pending == 0


def test_an_execution_between_two_queues_counts_as_begun(bench: Bench) -> None:
    (execution,) = bench.agenda.take()
    with OtherSession() as session:
        changed = session.start(lambda: update_timer("work", "t", after=120))
        serve(bench)
        assert changed.result(timeout=10).in_flight == [execution.id]


def test_a_worker_that_does_not_answer_in_time_has_it_in_flight_and_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recall_module, "ANSWER_SECONDS", 0.05)
    (execution,) = bench.agenda.held
    assert list(update_timer("work", "t", after=120).in_flight) == [execution.id]
    bench.recalls.step()
    assert (bench.agenda.held, Recall.objects.count(), Claim.objects.count()) == ([execution], 0, 1)


def test_an_answer_that_comes_after_the_change_gave_up_lets_the_execution_go_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (execution,) = bench.agenda.held
    monkeypatch.setattr(recalls_module, "answer", lambda *_: False)
    with OtherSession() as session:
        changed = session.start(lambda: update_timer("work", "t", after=120))
        serve(bench)
        assert bench.begun == [execution]
        Recall.objects.all().delete()
        assert changed.result(timeout=10).in_flight == [execution.id]


def test_what_is_revoked_ends_at_once_where_it_has_not_begun(bench: Bench) -> None:
    (execution,) = bench.agenda.held
    bench.recalls.revoke({execution.id, "running"})
    bench.recalls.step()
    assert [outcome.execution for outcome in bench.outcomes] == [execution]
    assert bench.executor.cancelled == {execution.id, "running"}


def serve(bench: Bench) -> Sequence[Recall]:
    """Step when the request is there."""
    found = eventually(lambda: list(Recall.objects.all()))
    bench.recalls.step()
    return found


def test_requests_are_looked_for_regularly_where_no_notification_can_come(bench: Bench) -> None:
    assert bench.recalls.step() > recalls_module.POLL_SECONDS
    bench.recalls.poll()
    assert bench.recalls.step() == recalls_module.POLL_SECONDS
