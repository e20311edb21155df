"""At most so many executions of a group start in a period."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.sessions import in_threads
from tests.worker.claiming import Bench
from timers import clock, conf
from timers.consuming import claim
from timers.engine.prune import prune
from timers.exceptions import InvalidRequest
from timers.models import Attempt, RateState, Timer, TimerGroup
from timers.scheduling import create_group, fire_timer, schedule_many, schedule_once, update_group
from timers.testing import Stepper, VirtualTime


def due_timers(number: int, time: VirtualTime, group: str = "work") -> None:
    schedule_many([{"kind": "once", "group": group, "name": f"{n}", "after": 1} for n in range(number)])
    time.advance(1)


def starts(handlers: TemporaryHandlers, time: VirtualTime, since: object) -> list[float]:
    """Seconds since an instant at which the handlers were called."""
    return [(fire.fire_time - since).total_seconds() for fire in handlers.calls]  # type: ignore[operator]


def test_what_is_due_starts_at_the_rate(
    group: TimerGroup, node: Stepper, time: VirtualTime, handlers: TemporaryHandlers
) -> None:
    update_group("work", max_rate="4/s")
    due_timers(8, time)
    begun = time.now
    node.advance(10)
    assert starts(handlers, time, begun) == [0, 0, 0.25, 0.5, 0.75, 1, 1.25, 1.5]


def test_all_nodes_together_start_no_more(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    update_group("work", max_rate="8/s")
    due_timers(10, time)
    assert [len(each.claim(limit=3)) for each in (node, Stepper(time), Stepper(time))] == [3, 1, 0]
    time.advance(0.5)
    assert len(Stepper(time).claim()) == 4


def test_a_worker_claims_ahead_what_starts_within_its_look_ahead(group: TimerGroup, time: VirtualTime) -> None:
    update_group("work", max_rate="4/s")
    due_timers(20, time)
    node = Stepper(time, look_ahead=1)
    held = node.claim()
    begins = [(execution.start_us - time.us) / 1_000_000 for execution in held]
    assert begins == [0, 0, 0.25, 0.5, 0.75, 1]
    assert node.claim() == []


def test_what_starts_at_a_rate_is_not_claimed_ahead_of_its_instant(group: TimerGroup, time: VirtualTime) -> None:
    update_group("work", max_rate="10/s")
    node = Stepper(time, look_ahead=1)
    schedule_once("work", "soon", after=0.5)
    assert node.claim() == []
    bench = Bench(node)
    assert bench.claimer.step() == pytest.approx(0.5, abs=0.1), "it looks again when it is due"
    time.advance(0.5)
    assert len(node.claim()) == 1


def test_a_look_comes_when_a_delayed_run_is_available(group: TimerGroup, time: VirtualTime) -> None:
    update_group("work", max_rate="10/s")
    schedule_once("work", "later", after=3600)
    fire_timer("work", "later", delay=0.5)
    node = Stepper(time, look_ahead=1)
    bench = Bench(node)
    assert bench.claimer.step() == pytest.approx(0.5, abs=0.1)
    assert bench.held == []
    time.advance(0.5)
    bench.step()  # reads the clock
    bench.step()
    assert len(bench.held) == 1


def test_retries_and_manual_runs_count_too(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    update_group("work", max_rate="1/min")
    for name in ("a", "b"):
        schedule_once("work", name, after=3600)
        fire_timer("work", name)
    assert len(node.claim()) == 1
    assert node.claim() == []
    time.advance(60)
    assert len(node.claim()) == 1


def test_consumers_count_too(node: Stepper, time: VirtualTime) -> None:
    create_group("jobs", action={"kind": "pull"}, max_rate="8/s")
    due_timers(10, time, "jobs")
    assert (len(claim("jobs", "a", limit=10)), len(claim("jobs", "b", limit=10))) == (4, 0)
    time.advance(1)
    assert len(claim("jobs", "b", limit=10)) == 4


def test_both_limits_hold(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    update_group("work", max_rate="100/s", max_concurrency=3)
    due_timers(10, time)
    assert len(node.claim()) == 3
    update_group("work", max_rate="1/min", max_concurrency=30)
    assert len(node.claim()) == 1


def test_a_changed_rate_holds_at_once(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    update_group("work", max_rate="1/d")
    due_timers(5, time)
    assert len(node.claim()) == 1
    update_group("work", max_rate="4/s")
    assert len(node.claim()) == 2
    update_group("work", max_rate=None)
    assert len(node.claim()) == 2


def test_a_rate_that_is_given_as_it_is_goes_on(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    update_group("work", max_rate="1/d")
    due_timers(5, time)
    assert len(node.claim()) == 1
    update_group("work", max_rate="1/d", description="words")
    assert node.claim() == []
    update_group("work", max_rate="1/d", max_rate_per_key="5/s")
    assert node.claim() == []


def test_a_state_from_a_clock_that_was_ahead_stops_nothing_for_long(
    group: TimerGroup, node: Stepper, time: VirtualTime
) -> None:
    update_group("work", max_rate="1/s")
    RateState.objects.create(group=group, tat=time.now + timedelta(days=300))
    due_timers(1, time)
    node.advance(120)
    assert Attempt.objects.filter(outcome="succeeded").count() == 1


def test_a_group_at_its_rate_costs_no_looks_and_others_nothing(
    group: TimerGroup, node: Stepper, time: VirtualTime, django_assert_num_queries: object
) -> None:
    update_group("work", max_rate="1/min")
    due_timers(50, time)
    factories.group("other")
    bench = Bench(node)
    assert bench.step()["work"] == 1
    for _ in range(2):
        bench.step()
    with django_assert_num_queries(1):  # type: ignore[operator]  # what is due
        assert 0.5 < bench.claimer.step() <= 1
    schedule_once("other", "now", after=0)
    assert bench.step() == {"other": 1}
    time.advance(60)
    bench.step()  # tells it the time
    assert bench.step() == {"work": 1}


@pytest.mark.parametrize("value", ["0/s", "-1/s", "fast"])
def test_a_rate_that_makes_no_sense_is_refused(group: TimerGroup, value: str) -> None:
    with pytest.raises(InvalidRequest, match="max_rate"):
        update_group("work", max_rate=value)


def test_a_rate_that_was_spoilt_by_hand_limits_nothing(group: TimerGroup, node: Stepper, time: VirtualTime) -> None:
    TimerGroup.objects.filter(id=group.id).update(max_rate="often")
    due_timers(3, time)
    assert len(node.claim()) == 3


def test_old_states_are_pruned(group: TimerGroup, time: VirtualTime) -> None:
    RateState.objects.create(group=group, tat=clock.now() - timedelta(days=2))
    RateState.objects.create(group=group, key="new", tat=clock.now())
    prune(conf.current())
    assert [state.key for state in RateState.objects.all()] == ["new"]


@pytest.mark.usefixtures("committed")
def test_eight_nodes_together_keep_the_rate(group: TimerGroup, time: VirtualTime, handlers: TemporaryHandlers) -> None:
    update_group("work", max_rate="50/s")
    due_timers(200, time)
    nodes = [Stepper(time) for _ in range(8)]

    def work(number: int) -> int:
        time.show()
        return sum(len(nodes[number].claim(limit=7)) for _ in range(20))

    for half in range(6):
        came = sum(int(str(each)) for each in in_threads(8, work))
        assert came == 25, half
        time.advance(0.5)
    assert Timer.objects.filter(state="active").count() == 50
