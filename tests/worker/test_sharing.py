"""Several claimers that are stepped one after the other, on rows of live nodes: who takes what of a burst."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import pytest

from tests import factories
from tests.support.executions import started
from timers import conf
from timers.clock import DatabaseClock
from timers.engine.execution import Execution
from timers.engine.rescue import rescue_node
from timers.models import Node, TimerGroup
from timers.schedules.instant import to_microseconds
from timers.scheduling import fire_timer, schedule_many
from timers.testing import Stepper, VirtualTime
from timers.worker import next_look
from timers.worker.capacity import Capacity
from timers.worker.claimer import Claimer
from timers.worker.options import NodeOptions
from timers.worker.run_time_mean import Pace
from timers.worker.sharing import Sharing

pytestmark = pytest.mark.usefixtures("handlers")


class Worker:
    """The claimer of a live node's only worker; what it claims it holds."""

    def __init__(self, time: VirtualTime, name: str, *, threads: int = 8, roles: Sequence[str] = ()) -> None:
        self.time, self.name = time, name
        self.node = Stepper(time, name, roles=roles)
        Node.objects.filter(id=self.node.node.id).update(
            state="active", threads=threads, roles=list(roles), handlers=["tests.noop"]
        )
        self.pace = Pace()
        self.held: list[Execution] = []
        self._clock = DatabaseClock(time.now)
        options = NodeOptions(name, workers=1, threads=threads, roles=tuple(roles))
        self._capacity = Capacity(threads, options.concurrency, self.pace)
        self.claimer = Claimer(
            self.node.holder, options, conf.load({}), self._clock, started(), self._capacity,
            Sharing(self.node.holder, "default", self.pace, self._capacity),
            self,  # type: ignore[arg-type]
            lambda ids: None,
        )  # fmt: skip

    def add(self, executions: Sequence[Execution]) -> None:
        """In place of the agenda."""
        self.held += executions

    def look(self) -> int:
        """One look by the claimer; how many executions came of it."""
        before = len(self.held)
        self.delay_after_look()
        return len(self.held) - before

    def delay_after_look(self) -> float:
        """One look by the claimer; the seconds that it waits for the next."""
        self._clock.set(self.time.now)
        return self.claimer.step()


def live(time: VirtualTime, number: int, **options: object) -> list[Worker]:
    return [Worker(time, f"node-{each}", **options) for each in range(number)]  # type: ignore[arg-type]


def burst(time: VirtualTime, count: int, *, due_in: float = 0.0, groups: int = 1, **fields: object) -> None:
    """One-shots of one instant in so many groups."""
    for number in range(groups):
        factories.group(f"burst-{number}", **fields)
    schedule_many(
        [
            {
                "kind": "once",
                "group": f"burst-{number % groups}",
                "name": f"{number}",
                "at": time.now + timedelta(seconds=due_in),
            }
            for number in range(count)
        ]
    )


def shares(workers: Sequence[Worker]) -> list[int]:
    return [len(worker.held) for worker in workers]


@pytest.mark.parametrize("due_in", [0.0, 1.4])
@pytest.mark.parametrize(
    ("number", "count", "expected"), [(4, 16, [4, 4, 4, 4]), (3, 24, [8, 8, 8]), (3, 8, [3, 3, 2]), (2, 3, [2, 1])]
)
def test_a_burst_of_unknown_run_time_is_shared_whoever_looks_first(
    time: VirtualTime, number: int, count: int, expected: list[int], due_in: float
) -> None:
    workers = live(time, number)
    burst(time, count, due_in=due_in)
    for worker in workers:
        worker.look()
    assert shares(workers) == expected


def test_a_burst_over_many_groups_is_shared_like_one_group(time: VirtualTime) -> None:
    workers = live(time, 3)
    burst(time, 12, groups=12)
    for worker in workers:
        worker.look()
    assert shares(workers) == [4, 4, 4]


def test_a_burst_of_known_slow_work_is_shared(time: VirtualTime) -> None:
    workers = live(time, 4)
    burst(time, 8)
    for worker in workers:
        worker.pace.learn({TimerGroup.objects.get().id: 3.0})
        worker.look()
    assert shares(workers) == [2, 2, 2, 2]


def test_quick_work_is_taken_whole_by_who_looks_first(time: VirtualTime) -> None:
    first, _ = live(time, 2)
    burst(time, 100)
    first.pace.learn({TimerGroup.objects.get().id: 0.000_05})
    assert first.look() == 100


def test_looking_again_does_not_take_the_part_of_the_others(time: VirtualTime) -> None:
    first, second = live(time, 2)
    burst(time, 8)
    assert [first.look(), first.look(), first.look()] == [4, 0, 0]
    assert second.look() == 4


def test_what_a_worker_holds_already_counts(time: VirtualTime) -> None:
    first, second = live(time, 2)
    burst(time, 4)
    first.look()
    more = [{"kind": "once", "group": "burst-0", "name": f"more-{number}", "at": time.now} for number in range(6)]
    schedule_many(more)
    # Held 2 and 0, due 8: five each.
    assert [second.look(), first.look()] == [5, 3]


def test_parts_follow_the_number_of_threads(time: VirtualTime) -> None:
    small, big = Worker(time, "small", threads=2), Worker(time, "big", threads=6)
    burst(time, 8)
    assert [small.look(), big.look()] == [2, 6]


def test_a_full_worker_leaves_everything_to_the_others(time: VirtualTime) -> None:
    full, free = live(time, 2, threads=4)
    burst(time, 8)
    Node.objects.filter(name="node-1").update(state="draining")
    assert full.look() == 4
    Node.objects.filter(name="node-1").update(state="active")
    time.advance(1)
    assert [full.look(), free.look()] == [0, 4]


def test_nodes_that_do_not_serve_the_group_get_no_part(time: VirtualTime) -> None:
    serving = [Worker(time, f"gpu-{number}", roles=["gpu"]) for number in range(2)]
    Worker(time, "plain")
    burst(time, 8, required_roles=["gpu"])
    assert [worker.look() for worker in serving] == [4, 4]


def test_nodes_that_do_not_know_the_handler_get_no_part(time: VirtualTime) -> None:
    knowing, other = live(time, 2)
    Node.objects.filter(id=other.node.node.id).update(handlers=["tests.other"])
    burst(time, 6)
    assert knowing.look() == 6


def test_what_a_silent_worker_does_not_take_is_taken_by_the_others_soon_after_its_instant(
    time: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("timers.worker.sharing.LATE_PAUSE_SECONDS", 0)
    first, second, _silent = live(time, 3)
    burst(time, 12)
    assert [first.look(), second.look()] == [4, 4]
    time.advance(0.05)
    assert [first.look(), second.look()] == [0, 0]
    time.advance(0.06)
    while first.look() + second.look():
        pass
    assert len(first.held) + len(second.held) == 12
    assert abs(len(first.held) - len(second.held)) <= 2


def test_it_looks_again_for_what_it_left_soon_after_the_instant(time: VirtualTime) -> None:
    first, _ = live(time, 2)
    burst(time, 4, due_in=0.5)
    assert first.look() == 2
    # Polled at the latest after one second; this is 0.1 s after the instant.
    assert first.claimer.step() <= 0.6


def test_ready_executions_are_shared_like_due_timers(time: VirtualTime) -> None:
    workers = live(time, 2)
    burst(time, 6, due_in=3600)
    for number in range(6):
        fire_timer("burst-0", f"{number}")
    for worker in workers:
        worker.look()
    assert shares(workers) == [3, 3]


def test_what_was_rescued_from_a_dead_node_is_shared(time: VirtualTime) -> None:
    dying = Worker(time, "dying")
    burst(time, 8)
    assert dying.look() == 8
    workers = live(time, 4)
    Node.objects.filter(id=dying.node.node.id).update(state="dead")
    rescue_node(dying.node.node.id, to_microseconds(time.now), "it died")
    time.advance(3600)
    Node.objects.update(lease_expires_at=time.now + timedelta(seconds=10))
    for worker in workers:
        worker.look()
    assert shares(workers) == [2, 2, 2, 2]


def test_run_times_that_others_recorded_are_known_after_a_restart(time: VirtualTime) -> None:
    first, _ = live(time, 2)
    burst(time, 50)
    group = TimerGroup.objects.get()
    factories.minute(group, ago=5, succeeded=1000, run_seconds=0.02)
    assert first.look() == 50
    assert first.pace.seconds(group.id) == pytest.approx(0.000_02)


def test_run_times_of_long_ago_are_not_taken_for_true(time: VirtualTime) -> None:
    first, _ = live(time, 2)
    burst(time, 8)
    group = TimerGroup.objects.get()
    factories.minute(group, ago=120, succeeded=1000, run_seconds=0.02)
    assert first.look() == 4


def test_shares_stay_even_when_workers_look_in_any_order_again_and_again(time: VirtualTime) -> None:
    workers = live(time, 4)
    burst(time, 30)
    for worker in [workers[2], workers[2], workers[0], workers[3], workers[2], workers[0], workers[1]]:
        worker.look()
    assert max(shares(workers)) - min(shares(workers)) <= 1
    assert Counter(execution.id for worker in workers for execution in worker.held).total() == 30


def test_what_cannot_be_claimed_here_is_looked_for_at_the_pace_of_the_poll(
    time: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[None] = []
    monkeypatch.setattr(next_look, "wake_workers", lambda: woken.append(None))
    first, _ = live(time, 2)
    factories.node("elsewhere", handlers=["tests.elsewhere"], threads=1, async_slots=0, slots=1, workers=1)
    factories.group("mixed")
    work = {"kind": "once", "group": "mixed", "handler": "tests.elsewhere", "at": time.now}
    schedule_many([{**work, "name": f"{number}"} for number in range(4)])
    time.advance(1)
    looks, end = 0, time.now + timedelta(seconds=10)
    while time.now < end:
        looks += 1
        time.advance(first.delay_after_look())
    assert first.held == []
    assert looks <= 25
    assert woken == []


def test_the_work_of_a_lead_group_is_not_left_to_other_nodes(time: VirtualTime) -> None:
    leader, other = live(time, 2)
    factories.leadership(leader.node.node)
    burst(time, 6, placement="lead")
    assert other.look() == 0
    assert leader.look() == 6


def test_what_a_lead_group_holds_starts_on_no_other_node(time: VirtualTime) -> None:
    leader, _ = live(time, 2)
    factories.leadership(leader.node.node)
    burst(time, 2, placement="lead")
    leader.look()
    sharing = leader.claimer._sharing
    slots = leader._capacity.slots_for(leader.held[0].group)
    assert sharing.startable_elsewhere(leader.held, slots) == set()


def test_ready_executions_of_a_group_at_its_limit_are_not_announced_to_others(
    time: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[float] = []
    monkeypatch.setattr("timers.worker.next_look.wake_workers", lambda: woken.append(0))
    workers = live(time, 2)
    group = factories.group("work", max_concurrency=1, overlap_policy="allow")
    for number in range(5):
        factories.waiting(factories.timer(f"{number}", in_group=group, state="finished"), "ready", ago=1)
    assert sum(worker.look() for worker in workers) == 1
    for _ in range(3):
        time.advance(1)
        assert [worker.look() for worker in workers] == [0, 0]
    assert woken == []
    assert all(worker.claimer._next_look._left_us is None for worker in workers)
