"""Fires while the execution before has not ended: a handler of three seconds on a timer of one."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import finals_of, words_of
from timers.control.executions import cancel_waiting
from timers.engine.execution import Execution
from timers.engine.finish import finish
from timers.engine.outcome import Outcome
from timers.handlers import Fire
from timers.models import Claim, Timer, Waiting
from timers.schedules.instant import to_microseconds
from timers.scheduling import cancel_timer, pause_timer, schedule_fixed_rate
from timers.testing import Stepper
from timers.testing.virtual_time import START

pytestmark = pytest.mark.usefixtures("handlers")


class SlowNode:
    """A node on which every execution takes three seconds; second by second."""

    def __init__(self, node: Stepper) -> None:
        self.node = node
        self.running: list[tuple[int, Execution]] = []
        self.most = 0
        """The most that ran at once."""

    def live(self, seconds: int) -> None:
        """Each second: what has had its three seconds ends, what is due begins."""
        for _ in range(seconds):
            self.node.time.advance(1)
            self.end()
            # What ended has opened the way, within the same second.
            while came := self.node.claim():
                self.running += [(self.node.time.us + 3_000_000, execution) for execution in came]
                self.node.held = []
            self.most = max(self.most, len(self.running))

    def end(self) -> None:
        now_us = self.node.time.us
        self.node.held = [execution for end, execution in self.running if end <= now_us]
        self.running = [(end, execution) for end, execution in self.running if end > now_us]
        self.node.run()
        self.node.finish()


@pytest.fixture
def slow(node: Stepper) -> SlowNode:
    return SlowNode(node)


def seconds_of(rows: Any, outcome: str) -> list[int]:
    return [round((row.scheduled_for - START).total_seconds()) for row in rows if row.outcome == outcome]


def timer_of(policy: str, **more: Any) -> Timer:
    factories.group("work", overlap_policy=policy, **more)
    return schedule_fixed_rate("work", "second", period=1)


def test_skip_runs_every_third_and_has_a_row_for_each_other(slow: SlowNode, handlers: TemporaryHandlers) -> None:
    timer = timer_of("skip")
    slow.live(30)
    rows = finals_of(timer)
    assert seconds_of(rows, "succeeded") == list(range(1, 28, 3))
    assert seconds_of(rows, "skipped") == [second for second in range(1, 31) if second % 3 != 1]
    assert {row.reason for row in rows if row.outcome == "skipped"} == {"overlap"}
    assert slow.most == 1


def test_queue_runs_one_after_the_other_and_skips_what_finds_no_room(
    slow: SlowNode, handlers: TemporaryHandlers
) -> None:
    timer = timer_of("queue")
    slow.live(30)
    rows = finals_of(timer)
    assert slow.most == 1
    assert Counter(row.outcome for row in rows) == {"succeeded": 9, "skipped": 19}
    open_now = Timer.objects.get().open_execution
    places = [str(open_now), *map(str, Waiting.objects.filter(state="queued").values_list("id", flat=True))]
    assert len({*places, *(str(row.id) for row in rows)}) == 30, "each occurrence is in one place"
    runs = [fire.scheduled_fire_time for fire in handlers.calls]
    assert runs == sorted(runs)


def test_a_longer_queue_holds_more(slow: SlowNode, handlers: TemporaryHandlers) -> None:
    timer = timer_of("queue", max_queued=5)
    slow.live(9)
    # One ran to its end twice, one runs, and five queue: the ninth second finds room again.
    assert seconds_of(finals_of(timer), "succeeded") == [1, 2]
    assert Waiting.objects.filter(state="queued").count() == 5
    assert words_of(timer).count("skipped") == 1


def test_allow_runs_all_side_by_side(slow: SlowNode, handlers: TemporaryHandlers) -> None:
    timer = timer_of("allow")
    slow.live(30)
    assert seconds_of(finals_of(timer), "succeeded") == list(range(1, 28))
    assert slow.most == 3


def test_replace_asks_the_running_one_to_end_and_lets_the_newest_run(
    slow: SlowNode, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.noop", InterruptedError("stopped"))
    timer = timer_of("replace")
    slow.live(30)
    rows = finals_of(timer)
    assert slow.most == 1
    # It ends only after its three seconds: of the two that came meanwhile the newer runs.
    assert seconds_of(rows, "cancelled") == [1, *range(3, 25, 3)]
    assert {row.reason for row in rows if row.outcome == "skipped"} == {"replaced"}
    assert len(rows) + Claim.objects.count() + Waiting.objects.count() == 30


def test_one_that_was_to_be_replaced_and_returns_all_the_same_has_succeeded(
    slow: SlowNode, handlers: TemporaryHandlers
) -> None:
    timer = timer_of("replace")
    slow.live(4)
    assert words_of(timer)[0] == "succeeded"


def test_a_retry_that_waits_makes_way_at_once(node: Stepper, handlers: TemporaryHandlers) -> None:
    handlers.script("tests.noop", ValueError("down"), None)
    timer = timer_of("replace")
    node.advance(1)
    assert [row.state for row in Waiting.objects.all()] == ["ready"]
    node.advance(1)
    assert [(row.outcome, row.reason) for row in finals_of(timer)] == [
        ("cancelled", "replaced by the next fire"),
        ("succeeded", None),
    ]


@pytest.mark.parametrize(
    ("word", "how"),
    [("error", "it ended with an error"), ("timeout", "it ran longer than its limit"), ("lost", "it was lost")],
)
def test_a_replaced_run_tells_what_replaced_it_and_how_it_ended(node: Stepper, word: Any, how: str) -> None:
    timer = timer_of("replace")
    node.time.advance(1)
    (running,) = node.claim()
    node.time.advance(1)
    node.claim()
    now_us = to_microseconds(node.time.now)
    finish(node.holder, [Outcome(running, word, now_us, now_us)], now_us)
    (row,) = finals_of(timer)
    assert (row.outcome, row.reason) == ("cancelled", f"replaced by the next fire; {how}")


def test_the_first_reason_to_end_an_execution_stays(node: Stepper) -> None:
    timer = timer_of("replace")
    node.time.advance(1)
    (running,) = node.claim()
    node.run()
    node.time.advance(1)
    node.claim()
    cancel_timer(timer.group.name, timer.name, reason="enough")
    now_us = to_microseconds(node.time.now)
    finish(node.holder, [Outcome(running, "error", now_us, now_us)], now_us)
    assert finals_of(timer)[0].reason == "replaced by the next fire; it ended with an error"


def test_what_has_not_begun_makes_way_at_once(node: Stepper, handlers: TemporaryHandlers) -> None:
    timer = timer_of("replace")
    node.time.advance(1)
    node.claim()
    node.time.advance(1)
    assert node.claim() == []
    node.until_idle()
    assert [(row.outcome, row.reason) for row in finals_of(timer)] == [
        ("cancelled", "replaced by the next fire; it had not begun"),
        ("succeeded", None),
    ]
    assert len(handlers.calls) == 1


def test_a_dead_nodes_execution_that_was_to_be_replaced_is_not_tried_again(
    node: Stepper, handlers: TemporaryHandlers
) -> None:
    timer = timer_of("replace")
    dead = Stepper(node.time)
    node.time.advance(1)
    dead.claim()
    node.time.advance(1)
    assert node.claim() == [], "its successor waits for its end"
    node.rescue(dead)
    node.until_idle()
    assert words_of(timer) == ["cancelled", "succeeded"]
    assert handlers.calls[0].scheduled_fire_time == START + timedelta(seconds=2)


def test_a_drain_gives_nothing_back_that_was_asked_to_end(node: Stepper) -> None:
    timer = timer_of("replace")
    node.time.advance(1)
    node.claim()
    node.time.advance(1)
    other = Stepper(node.time)
    other.claim()
    assert node.release() == 0
    assert words_of(timer) == ["cancelled"]
    assert len(other.claim()) == 1


def test_the_next_of_a_queue_runs_when_one_has_failed_for_good(node: Stepper, handlers: TemporaryHandlers) -> None:
    handlers.script("tests.noop", ValueError("down"), None)
    timer = timer_of("queue", retry={"max_retries": 0})
    node.time.advance(1)
    node.claim()
    node.time.advance(1)
    node.claim()
    node.run()
    node.finish()
    node.until_idle()
    assert [(row.state, row.attempt) for row in Waiting.objects.all()] == [("failed", 1)]
    assert words_of(timer) == ["error", "succeeded"]


def test_retries_keep_their_place_before_the_queue(node: Stepper, handlers: TemporaryHandlers) -> None:
    handlers.script("tests.noop", ValueError("down"), None)
    timer_of("queue", retry={"min_backoff": 5, "max_backoff": 5})
    node.advance(1)
    node.advance(2)
    assert sorted(Waiting.objects.values_list("state", flat=True)) == ["queued", "ready"]
    node.advance(4)
    instants = [(fire.scheduled_fire_time - START).seconds for fire in handlers.calls]
    assert instants[:3] == [1, 1, 2]


def queued_up(node: Stepper) -> Timer:
    """One execution is claimed, one queues."""
    timer = timer_of("queue")
    node.time.advance(1)
    node.claim()
    node.time.advance(1)
    node.claim()
    assert Waiting.objects.get().state == "queued"
    return timer


def test_a_cancelled_timer_drops_its_queue(node: Stepper) -> None:
    timer = queued_up(node)
    node.run()
    assert cancel_timer("work", "second").cancelled == 1
    node.finish()
    assert words_of(timer) == ["succeeded", "cancelled"]
    assert node.claim() == []


def test_a_paused_timer_lets_its_queue_run_out(node: Stepper, handlers: TemporaryHandlers) -> None:
    queued_up(node)
    pause_timer("work", "second")
    node.until_idle()
    assert len(handlers.calls) == 2
    assert not Waiting.objects.exists()


def test_a_replaced_timers_queue_is_not_forgotten(node: Stepper, handlers: TemporaryHandlers) -> None:
    queued_up(node)
    schedule_fixed_rate("work", "second", period=60, on_conflict="replace")
    node.until_idle()
    assert len(handlers.calls) == 2
    assert not Waiting.objects.exists()


def test_one_taken_out_of_the_queue_leaves_the_others_in_order(node: Stepper, handlers: TemporaryHandlers) -> None:
    timer = timer_of("queue", max_queued=3)
    node.time.advance(1)
    node.claim()
    node.time.advance(3)
    node.claim()
    first = Waiting.objects.filter(state="queued").order_by("id").first()
    assert first is not None
    cancel_waiting([str(first.id)])
    node.until_idle()
    assert words_of(timer) == ["succeeded", "cancelled", "succeeded", "succeeded"]


def test_the_handler_sees_that_it_shall_end(handlers: TemporaryHandlers) -> None:
    fire = Fire("g", "n", 1, None, "id", 1, 0, "schedule", "node", 0, 0, "UTC")
    assert not fire.cancelled.is_set()
    assert not fire.cancelled.wait(0)
    fire.cancelled.set()
    assert fire.cancelled.is_set()
    assert fire.cancelled.wait()


def test_the_last_fire_of_a_timer_is_reached_though_others_before_it_are_skipped(
    slow: SlowNode, handlers: TemporaryHandlers
) -> None:
    factories.group("work", overlap_policy="queue")
    timer = schedule_fixed_rate("work", "tenth", period=0.1, max_fires=4)
    slow.live(15)
    rows = finals_of(timer)
    assert [row.outcome for row in rows].count("succeeded") == 4
    instants = [row.scheduled_for for row in rows]
    assert len(rows) == round((instants[-1] - instants[0]).total_seconds() / 0.1) + 1, "one row for each up to the last"
    assert rows[-1].outcome == "succeeded"
