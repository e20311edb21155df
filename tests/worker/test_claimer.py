from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.worker.claiming import Bench
from timers.engine import fire_batch
from timers.engine.due import ServedGroups
from timers.engine.execution import ServedGroup
from timers.engine.fire import fire_due
from timers.models import Claim, Timer, TimerGroup, Waiting
from timers.scheduling import fire_timer, schedule_fixed_rate, schedule_many, schedule_once
from timers.testing import Stepper, VirtualTime
from timers.worker import capacity as capacity_module
from timers.worker import claimer as claimer_module
from timers.worker.capacity import MAX_HELD, MAX_HELD_BY_GROUP


@pytest.fixture
def backlog(time: VirtualTime, handlers: TemporaryHandlers) -> Callable[..., TimerGroup]:
    """Makes a group with so many one-shots that are due."""

    def make(name: str, number: int, **fields: Any) -> TimerGroup:
        group = factories.group(name, **fields)
        ago = time.now - timedelta(seconds=10)
        schedule_many([{"kind": "once", "group": name, "name": f"{n}", "at": ago} for n in range(number)])
        return group

    return make


def test_groups_share_the_room_equally_whatever_their_backlog(
    backlog: Callable[..., TimerGroup], node: Stepper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capacity_module, "MAX_HELD", 90)
    for name, number in (("huge", 1000), ("big", 300), ("small", 20)):
        backlog(name, number)
    bench = Bench(node)
    came = bench.step()
    assert came["small"] == 20
    assert came["huge"] >= 30
    assert came["big"] >= 30
    assert came.total() <= 90


def test_one_group_with_a_huge_backlog_starves_no_other(
    backlog: Callable[..., TimerGroup], node: Stepper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capacity_module, "MAX_HELD", 40)
    backlog("huge", 1000)
    for name in ("a", "b", "c"):
        backlog(name, 10)
    bench = Bench(node)
    seen: Counter[str] = Counter()
    for _ in range(4):
        seen += bench.step()
        bench.record_all()
    assert all(seen[name] == 10 for name in ("a", "b", "c"))


def test_a_group_of_higher_priority_is_served_first(
    backlog: Callable[..., TimerGroup], node: Stepper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capacity_module, "MAX_HELD", 50)
    backlog("plain", 100)
    backlog("urgent", 100, priority=5)
    bench = Bench(node)
    assert bench.step() == {"urgent": 50}


def test_free_threads_are_shared_by_all_groups_whatever_their_run_time(
    backlog: Callable[..., TimerGroup], node: Stepper
) -> None:
    slow, quick = backlog("slow", 200), backlog("quick", 200)
    bench = Bench(node, threads=8, run_seconds=None)
    bench.pace.measured(slow.id, 10.0, 8)
    bench.pace.measured(quick.id, 0.05, 8)
    # Half of the threads each: four slow ones, or what four threads get through in a quarter of a second at 50 ms each.
    assert bench.step() in ({"slow": 4, "quick": 24}, {"slow": 5, "quick": 24})
    while bench.step():
        pass
    held = Counter(execution.group.name for execution in bench.held)
    assert held["slow"] + held["quick"] / 6 == pytest.approx(8, abs=0.5)


@pytest.mark.parametrize("run_seconds", [None, 3.0, 25.0])
def test_slow_and_unknown_work_is_claimed_for_free_threads_only(
    run_seconds: float | None, backlog: Callable[..., TimerGroup], node: Stepper
) -> None:
    backlog("work", 40)
    bench = Bench(node, threads=4, run_seconds=run_seconds)
    while bench.step():
        pass
    assert len(bench.held) == 4
    bench.claimer.no_longer_held(bench.held[:3])
    assert bench.step() == {"work": 3}


def test_what_is_due_is_claimed_for_idle_threads_though_work_claimed_ahead_fills_the_worker(
    backlog: Callable[..., TimerGroup], node: Stepper, time: VirtualTime
) -> None:
    factories.group("quick")
    soon = time.now + timedelta(seconds=1)
    schedule_many([{"kind": "once", "group": "quick", "name": f"{n}", "at": soon} for n in range(200)])
    bench = Bench(node, run_seconds=0.25, idle=lambda _: 3)
    assert bench.step() == {"quick": 16}
    backlog("slow", 20)
    schedule_once("slow", "later", at=soon)
    bench.pace.measured(TimerGroup.objects.get(name="slow").id, 60.0, 8)
    bench.claimer._next_look._idle_from = 0
    assert bench.step() == {"slow": 3}
    assert bench.step() == {}, "not at every look"


def test_a_full_worker_claims_nothing_of_other_groups(backlog: Callable[..., TimerGroup], node: Stepper) -> None:
    backlog("slow", 4)
    bench = Bench(node, threads=4, run_seconds=25.0)
    assert bench.step() == {"slow": 4}
    bench.pace.learn({backlog("quick", 1).id: 0.0001})
    bench.step()
    assert bench.step() == {}
    bench.claimer.no_longer_held(bench.held[:1])
    assert bench.step() == {"quick": 1}


def test_full_threads_leave_room_for_async_work(backlog: Callable[..., TimerGroup], node: Stepper) -> None:
    backlog("slow", 4)
    bench = Bench(node, threads=4, run_seconds=None)
    assert bench.step() == {"slow": 4}
    group = backlog("hooks", 300, max_batch=1000)
    TimerGroup.objects.filter(id=group.id).update(action={"kind": "http", "url": "https://example.org/"})
    assert bench.step() == {"hooks": 100}, "what one target takes at once"


def test_async_handlers_have_room_for_as_many_as_run_at_once(backlog: Callable[..., TimerGroup], node: Stepper) -> None:
    group = backlog("async", 300)
    bench = Bench(node, threads=8, run_seconds=None)
    bench.pace.measured(group.id, 10.0, 200)
    assert bench.step() == {"async": 200}


def test_calls_have_room_for_as_many_as_run_at_once_from_the_first_claim_on(
    backlog: Callable[..., TimerGroup], node: Stepper
) -> None:
    group = backlog("hooks", 300, max_batch=1000)
    TimerGroup.objects.filter(id=group.id).update(action={"kind": "http", "url": "https://example.org/"})
    bench = Bench(node, threads=8)
    assert bench.step()["hooks"] > 200


def test_one_group_does_not_fill_the_whole_worker() -> None:
    assert MAX_HELD_BY_GROUP < MAX_HELD


def test_a_claim_takes_at_most_the_groups_batch(backlog: Callable[..., TimerGroup], node: Stepper) -> None:
    backlog("work", 50, max_batch=20)
    bench = Bench(node)
    assert [bench.step().total() for _ in range(4)] == [20, 20, 10, 0]
    assert Claim.objects.count() == 3


def test_while_there_is_more_it_does_not_wait_and_otherwise_at_most_one_poll(
    backlog: Callable[..., TimerGroup], node: Stepper
) -> None:
    backlog("work", 50, max_batch=40)
    bench = Bench(node)
    assert bench.claimer.step() == 0
    assert 0 < bench.claimer.step() <= 1.0


def test_it_looks_again_at_the_next_instant_of_a_timer_that_fires_often(
    node: Stepper, handlers: TemporaryHandlers
) -> None:
    factories.group("work", overlap_policy="allow")
    schedule_fixed_rate("work", "rate", period=0.2, start_at=node.time.now)
    bench = Bench(node)
    assert 0 < bench.claimer.step() < 0.25


def test_what_was_committed_late_below_the_low_mark_is_found_by_the_full_scan(
    backlog: Callable[..., TimerGroup], node: Stepper
) -> None:
    backlog("work", 30, max_batch=10)
    bench = Bench(node)
    bench.step()
    schedule_once("work", "late", at=node.time.now - timedelta(seconds=60))
    bench.step()
    assert "late" not in {execution.name for execution in bench.held}
    bench.claimer._full_scan_at = 0
    bench.step()
    assert "late" in {execution.name for execution in bench.held}


def test_a_drained_group_is_looked_at_from_its_start_again(backlog: Callable[..., TimerGroup], node: Stepper) -> None:
    backlog("work", 20, max_batch=10)
    bench = Bench(node)
    bench.step()
    schedule_once("work", "late", at=node.time.now - timedelta(seconds=60))
    for _ in range(4):
        bench.step()
    assert "late" in {execution.name for execution in bench.held}


def test_ready_work_comes_before_timers_and_counts_in_the_same_room(
    backlog: Callable[..., TimerGroup], node: Stepper
) -> None:
    backlog("work", 20, max_batch=10)
    timer = Timer.objects.get(name="0")
    fire_timer("work", timer.name, overlap="allow")
    bench = Bench(node)
    assert bench.step() == {"work": 10}
    assert bench.held[0].origin == "manual"


def test_it_claims_nothing_while_the_lease_is_not_sure(backlog: Callable[..., TimerGroup], node: Stepper) -> None:
    backlog("work", 5)
    bench = Bench(node, sure=False)
    assert 0 < bench.claimer.step() <= 0.5
    assert bench.held == []
    assert not Claim.objects.exists()


def test_a_group_that_breaks_the_claim_does_not_stop_the_groups_after_it(
    backlog: Callable[..., TimerGroup], node: Stepper, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "broken", "z"):
        backlog(name, 5)
    real = fire_due

    def fire(holder: Any, group: ServedGroup, *args: Any, **options: Any) -> Any:
        if group.name == "broken":
            raise ZeroDivisionError
        return real(holder, group, *args, **options)

    monkeypatch.setattr(claimer_module, "fire_due", fire)
    bench = Bench(node)
    assert bench.step() == {"a": 5, "z": 5}


def test_what_was_claimed_unheard_before_a_database_fault_is_given_back(
    backlog: Callable[..., TimerGroup], node: Stepper, monkeypatch: pytest.MonkeyPatch
) -> None:
    backlog("work", 5)
    bench = Bench(node)
    real = fire_due

    def fire_and_lose_the_answer(*args: Any, **options: Any) -> Any:
        real(*args, **options)
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr("timers.worker.claimer.fire_due", fire_and_lose_the_answer)
    with pytest.raises(OperationalError):
        bench.claimer.step()
    assert (Claim.objects.count(), bench.held) == (1, [])
    monkeypatch.setattr(claimer_module, "fire_due", real)
    assert bench.step() == {"work": 5}
    assert [execution.attempt for execution in bench.held] == [1] * 5
    assert not Waiting.objects.exists()
    assert Claim.objects.get().id == bench.held[0].fence


def fail_a_pass(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the database fail in one pass of the claimer."""

    def fault(*args: Any) -> Any:
        raise OperationalError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(ServedGroups, "with_due_work", fault)
        with pytest.raises(OperationalError):
            bench.claimer.step()


def test_what_it_does_hold_survives_the_look_for_what_was_unheard(
    backlog: Callable[..., TimerGroup], node: Stepper, monkeypatch: pytest.MonkeyPatch
) -> None:
    backlog("work", 5)
    bench = Bench(node)
    bench.step()
    fail_a_pass(bench, monkeypatch)
    bench.step()
    assert [len(claim.executions) for claim in Claim.objects.all()] == [5]
    assert not Waiting.objects.exists()


def test_after_a_database_fault_nothing_is_claimed_before_outcomes_are_recorded(
    backlog: Callable[..., TimerGroup], node: Stepper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claimer_module, "OUTCOMES_SECONDS", 0)
    backlog("work", 5)
    unrecorded = [1]
    bench = Bench(node, unrecorded=lambda: len(unrecorded))
    fail_a_pass(bench, monkeypatch)
    assert bench.step() == {}
    unrecorded.clear()
    assert bench.step() == {"work": 5}


def test_handlers_that_only_other_nodes_know_are_left_for_them(
    backlog: Callable[..., TimerGroup], node: Stepper, handlers: TemporaryHandlers
) -> None:
    backlog("own", 3)
    factories.node(handlers=["tests.new"])
    factories.group("new", action={"handler": "tests.new"})
    schedule_once("new", "once", after=0)
    bench = Bench(node)
    assert bench.step() == {"own": 3}


def test_a_batch_that_was_cut_short_is_gone_on_with_at_once_where_it_stopped(
    node: Stepper, handlers: TemporaryHandlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fire_batch, "MAX_ROWS", 10)
    factories.group("work", misfire_policy="fire_all", overlap_policy="allow")
    for number in range(5):
        schedule_fixed_rate("work", f"{number}", period=100 + number)
    node.time.advance(450)
    bench = Bench(node)
    # Three of them fill the transaction with four late fires each.
    assert bench.step() == {"work": 12}
    assert bench.claimer._hungry
    assert bench.step() == {"work": 8}
    assert Counter(execution.name for execution in bench.held) == {f"{number}": 4 for number in range(5)}


def test_what_is_only_put_behind_others_is_work_done_too(node: Stepper, handlers: TemporaryHandlers) -> None:
    factories.group("work", overlap_policy="queue", max_queued=5, max_batch=2)
    for number in range(6):
        schedule_fixed_rate("work", f"{number}", period=1)
    node.time.advance(1)
    bench = Bench(node)
    while bench.step():
        pass
    node.time.advance(1)
    bench.step()  # reads the clock
    # Nothing to run comes of it, but there is more to decide: no wait.
    assert bench.claimer.step() == 0


@pytest.mark.parametrize("limits", [{"max_concurrency": 1}, {"max_concurrency_per_key": 1}, {"max_rate": "1000/s"}, {}])
def test_what_ends_in_a_group_at_its_limit_has_its_worker_look_again(
    backlog: Callable[..., TimerGroup], node: Stepper, limits: dict[str, Any]
) -> None:
    backlog("work", 3, **limits)
    bench = Bench(node)
    bench.step()
    bench.claimer.loop._wake.clear()
    bench.record_all()
    assert bench.claimer.loop._wake.is_set() == ("max_concurrency" in "".join(limits))


def test_timers_of_a_higher_priority_get_the_room_first(
    backlog: Callable[..., TimerGroup], node: Stepper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capacity_module, "MAX_HELD", 10)
    backlog("work", 100)
    bench = Bench(node)
    assert bench.step() == {"work": 10}
    schedule_many([
        {"kind": "once", "group": "work", "name": f"urgent {n}", "at": node.time.now, "priority": 5} for n in range(15)
    ])  # fmt: skip
    bench.record_all()
    bench.step()
    assert [execution.name.split()[0] for execution in bench.held] == ["urgent"] * 10
    bench.record_all()
    bench.step()
    assert [execution.name.split()[0] for execution in bench.held[:5]] == ["urgent"] * 5
    assert len(bench.held) == 10
