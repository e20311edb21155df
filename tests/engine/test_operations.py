"""Bulk operations: how nodes carry them out."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import OperationalError, connection

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.sessions import OtherSession, in_threads
from timers import clock
from timers.control.operations import (
    cancel_operation,
    pause_operation,
    resume_operation,
    set_pace,
    start_operation,
)
from timers.domain.execution_id import execution_id
from timers.engine import operations as carried
from timers.engine.chores import find_chores
from timers.engine.operations import carry_out
from timers.models import Attempt, BulkOperation, Timer, TimerGroup, Waiting
from timers.schedules.instant import to_microseconds
from timers.testing import Stepper, VirtualTime

ALL = {"all": True}


def fail(of: Timer, number: int, *, ago: int = 3600, **fields: Any) -> None:
    """So many failed executions of a timer, in one statement; the first of them of `ago` seconds ago."""
    now = clock.now()
    defaults: dict[str, Any] = {"error_title": "ValueError: down", "error_fingerprint": "f" * 32, "attempt": 2}
    Waiting.objects.bulk_create(
        Waiting(
            id=execution_id(to_microseconds(now) - ago * 1_000_000 + step, of.id),
            group_id=of.group_id, timer_id=of.id, name=of.name, state="failed",
            available_at=now, created_at=now, changed_at=now, **{**defaults, **fields},
        )
        for step in range(number)
    )  # fmt: skip


def carry_out_all(steps: int = 1000) -> int:
    """Chunks until there is nothing to do at the present instant; returns their number."""
    for number in range(steps):
        if carry_out() != 0.0:
            return number
    raise AssertionError("it does not end")


def available() -> list[float]:
    """Seconds from now until each ready execution, in order."""
    now = clock.now()
    rows = Waiting.objects.filter(state="ready").order_by("available_at").values_list("available_at", flat=True)
    return [(at - now).total_seconds() for at in rows]


@pytest.fixture
def timer(group: TimerGroup) -> Timer:
    return factories.timer("bills", in_group=group)


def test_a_thousand_are_retried_and_succeed(timer: Timer, node: Stepper, handlers: TemporaryHandlers) -> None:
    TimerGroup.objects.update(overlap_policy="allow")
    fail(timer, 1000)
    operation = start_operation("retry", {"group": "work"}, actor="ada", reason="the bank is back")
    carry_out_all()
    operation.refresh_from_db()
    assert (operation.state, operation.total, operation.done, operation.refused) == ("done", 1000, 1000, 0)
    assert operation.ended_at == node.time.now
    node.until_idle()
    assert len({fire.execution_id for fire in handlers.calls}) == len(handlers.calls) == 1000
    assert Attempt.objects.filter(outcome="succeeded", attempt=3).count() == 1000
    assert not Waiting.objects.exists()
    assert not find_chores("default").has_operations


def test_what_is_dismissed_has_failed_for_good_and_the_ledger_says_why(timer: Timer) -> None:
    fail(timer, 3)
    operation = start_operation("dismiss", ALL, actor="ada", reason="rehearsal")
    carry_out_all()
    assert set(Attempt.objects.values_list("outcome", "reason")) == {
        ("failed", f"dismissed by ada (operation {operation.id}): rehearsal")
    }
    assert not Waiting.objects.exists()


def test_what_fails_after_the_asking_is_not_touched(timer: Timer) -> None:
    fail(timer, 2)
    operation = start_operation("dismiss", ALL)
    factories.waiting(timer, ago=30)
    carry_out_all()
    operation.refresh_from_db()
    assert (operation.total, operation.done) == (2, 2)
    assert Waiting.objects.count() == 1


def test_what_fails_anew_after_its_retry_is_not_retried_again(
    timer: Timer, node: Stepper, handlers: TemporaryHandlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carried, "CHUNK", 2)
    TimerGroup.objects.update(retry={"max_retries": 0}, version=2)
    handlers.script("tests.noop", ValueError("down"))
    fail(timer, 6)
    operation = start_operation("retry", ALL)
    while carry_out() == 0.0:
        node.until_idle()
    operation.refresh_from_db()
    assert (operation.state, operation.done, len(handlers.calls)) == ("done", 6, 6)
    assert Waiting.objects.filter(state="failed").count() == 6


def test_the_clock_of_a_sandbox_does_not_matter(time: VirtualTime, handlers: TemporaryHandlers) -> None:
    for name, days in (("past", -400), ("future", 400)):
        group = factories.group(name, sandbox=True, clock_frozen_at=time.now + timedelta(days=days))
        fail(factories.timer(in_group=group), 2)
    operation = start_operation("retry", ALL)
    fail(factories.timer(in_group=group), 1)
    carry_out_all()
    operation.refresh_from_db()
    assert (operation.total, operation.done) == (4, 4)
    in_past = Waiting.objects.filter(group__name="past").first()
    assert in_past is not None
    assert in_past.available_at == time.now - timedelta(days=400), "ready at the group's own instant"
    assert Waiting.objects.filter(state="failed").count() == 1


def test_a_retry_at_a_pace_comes_evenly_and_no_faster(timer: Timer, time: VirtualTime) -> None:
    fail(timer, 400)
    start_operation("retry", ALL, pace=100)
    instants: list[float] = []
    start = time.now
    while find_chores("default").has_operations:
        carry_out_all()
        ready = Waiting.objects.filter(state="ready")
        instants += [(at - start).total_seconds() for at in ready.values_list("available_at", flat=True)]
        ready.delete()
        time.advance(0.4)
    instants.sort()
    assert len(instants) == 400
    assert instants[-1] == pytest.approx(3.99)
    assert {round(later - earlier, 6) for earlier, later in pairwise(instants)} == {0.01}


def test_a_pace_is_kept_however_seldom_anyone_looks(timer: Timer, time: VirtualTime) -> None:
    fail(timer, 100)
    start_operation("retry", ALL, pace=10)
    seen = []
    for _ in range(4):
        carry_out_all()
        seen.append(Waiting.objects.filter(state="ready").count())
        time.advance(60)
    assert seen == [11, 22, 33, 44], "a second's worth each time: what nobody did meanwhile is not made up for"


def test_a_slow_pace_waits_from_one_to_the_next(timer: Timer, time: VirtualTime) -> None:
    fail(timer, 3)
    operation = start_operation("retry", ALL, pace=0.1)
    done = []
    for _ in range(5):
        carry_out_all()
        operation.refresh_from_db()
        done.append(operation.done)
        time.advance(5)
    assert done == [1, 1, 2, 2, 3]


def test_dismissals_at_a_pace_are_never_ahead_of_it(timer: Timer, time: VirtualTime) -> None:
    fail(timer, 200)
    operation = start_operation("dismiss", ALL, pace=100)
    for number in range(9):
        carry_out_all()
        operation.refresh_from_db()
        assert operation.done == min(200, number * 25 + 1)
        time.advance(0.25)


def test_the_pace_can_be_changed_on_the_way(timer: Timer, time: VirtualTime) -> None:
    fail(timer, 50)
    operation = start_operation("retry", ALL, pace=0.001)
    carry_out_all()
    assert len(available()) == 1
    set_pace(operation.id, None)
    carry_out_all()
    assert len(available()) == 50


def test_a_cancelled_one_goes_no_further(timer: Timer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carried, "CHUNK", 10)
    fail(timer, 50)
    operation = start_operation("dismiss", ALL)
    carry_out()
    carry_out()
    cancel_operation(operation.id, actor="bob", reason="wrong group")
    assert carry_out() is None
    operation.refresh_from_db()
    assert (operation.state, operation.state_reason, operation.done) == (
        "cancelled",
        "cancelled by bob: wrong group",
        20,
    )
    assert Waiting.objects.filter(state="failed").count() == 30


def test_a_paused_one_waits_and_goes_on_where_it_was(timer: Timer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carried, "CHUNK", 10)
    fail(timer, 25)
    operation = start_operation("dismiss", ALL)
    carry_out()
    pause_operation(operation.id, actor="bob")
    assert carry_out() is None
    factories.waiting(timer, ago=30)
    resume_operation(operation.id)
    carry_out_all()
    operation.refresh_from_db()
    assert (operation.state, operation.done) == ("done", 25)
    assert Waiting.objects.count() == 1


def test_a_crash_between_the_chunk_and_the_cursor_repeats_nothing(
    timer: Timer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carried, "CHUNK", 10)
    fail(timer, 25)
    operation = start_operation("retry", ALL)
    carry_out()

    def crash(self: BulkOperation, **options: Any) -> None:
        raise OperationalError("the server closed the connection")

    with monkeypatch.context() as crashing:
        crashing.setattr(BulkOperation, "save", crash)
        with pytest.raises(OperationalError):
            carry_out()
    operation.refresh_from_db()
    assert (operation.done, len(available())) == (10, 10), "the chunk was undone with the cursor"


def test_one_whose_chunk_fails_holds_up_no_other_and_is_taken_up_again(
    timer: Timer, time: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(timer, 3)
    bad = start_operation("retry", ALL)
    factories.waiting(factories.timer("other"))
    good = start_operation("dismiss", {"timer": "other"})

    with monkeypatch.context() as failing:
        failing.setattr(carried, "retry_waiting", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            carry_out()
        carry_out_all()
    good.refresh_from_db()
    bad.refresh_from_db()
    assert (good.done, bad.done) == (1, 0)
    time.advance(5)
    carry_out_all()
    bad.refresh_from_db()
    assert (bad.state, bad.done) == ("done", 3)


def test_what_cannot_be_retried_is_counted_and_told(timer: Timer, group: TimerGroup) -> None:
    cancelled = factories.timer("cancelled", in_group=group, state="cancelled", next_fire_at=None)
    deleted = factories.timer("deleted", in_group=group)
    fail(timer, 2)
    fail(timer, 1, ago=7200, attempt=1000)
    fail(cancelled, 1)
    fail(deleted, 1)
    Timer.objects.filter(id=deleted.id).delete()
    operation = start_operation("retry", ALL)
    carry_out_all()
    operation.refresh_from_db()
    assert (operation.total, operation.done, operation.refused) == (5, 2, 3)
    assert Counter(example["message"] for example in operation.refusals) == {
        "its timer is cancelled": 1,
        "its timer has been deleted": 1,
        "had 1000 tries, and no more than 1000 are kept": 1,
    }
    assert Waiting.objects.filter(state="failed").count() == 3, "they wait on, with their payloads"


def test_rare_ones_are_found_window_by_window(timer: Timer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carried, "WINDOW", 10)
    fail(timer, 35)
    factories.waiting(timer, ago=1, error_title="KeyError: 'Vendor'")
    fail(factories.timer(in_group=timer.group), 35)
    operation = start_operation("dismiss", {"error_contains": "vendor"})
    assert carry_out_all() == 8
    operation.refresh_from_db()
    assert (operation.total, operation.done, Waiting.objects.count()) == (1, 1, 70)


def test_two_nodes_at_once_neither_skip_nor_double(committed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carried, "CHUNK", 20)
    fail(factories.timer(), 400)
    operation = start_operation("dismiss", ALL)

    def work(_: int) -> int:
        chunks = 0
        while (seconds := carry_out()) is not None:
            chunks += seconds == 0.0
        return chunks

    chunks = in_threads(2, work)
    operation.refresh_from_db()
    assert sum(chunks) == 21, chunks  # type: ignore[arg-type]
    assert (operation.state, operation.done) == ("done", 400)
    assert Attempt.objects.filter(outcome="failed").count() == 400


def test_an_operation_that_another_node_is_at_is_left_to_it(committed: None) -> None:
    fail(factories.timer(), 3)
    start_operation("dismiss", ALL)
    with OtherSession() as other:
        other.begin()
        other.run(lambda: carried._lock_next(clock.now()))
        assert carry_out() == carried.INTERVAL
        other.rollback()
        assert carry_out() == 0.0


def test_what_a_person_is_just_deciding_on_is_waited_for_and_not_left_out(committed: None) -> None:
    timer = factories.timer()
    fail(timer, 3)
    start_operation("retry", ALL)
    with OtherSession() as other:
        other.begin()
        other.run(lambda: list(Waiting.objects.select_for_update()[:1]))
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '50ms'")
        with pytest.raises(OperationalError):
            carry_out()
        other.rollback()
    BulkOperation.objects.update(next_at=clock.now())
    carry_out_all()
    assert Waiting.objects.filter(state="ready").count() == 3


def test_several_take_turns(timer: Timer, time: VirtualTime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carried, "CHUNK", 10)
    fail(timer, 40)
    fail(factories.timer("other"), 40)
    first, second = start_operation("retry", {"timer": "bills"}), start_operation("retry", {"timer": "other"})
    for _ in range(4):
        time.advance(0.001)
        carry_out()
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.done, second.done) == (20, 20)


def test_a_chunk_takes_as_many_statements_whatever_it_holds(timer: Timer, django_assert_max_num_queries: Any) -> None:
    fail(timer, 300)
    start_operation("retry", ALL)
    with django_assert_max_num_queries(16):
        carry_out()
