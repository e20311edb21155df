from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import rows_of, words_of
from timers.handlers import Discard, Fail, Retry, Snooze
from timers.models import TimerGroup, Waiting
from timers.scheduling import pause_group, schedule_once
from timers.testing import Stepper, VirtualTime


def waits(node: Stepper, most: int = 20) -> list[float]:
    """The seconds between the end of each try and the next, until nothing is ready any more."""
    seconds: list[float] = []
    node.until_idle()
    while len(seconds) < most and (row := Waiting.objects.filter(state="ready").first()):
        wait = (row.available_at - node.time.now).total_seconds()
        seconds.append(wait)
        node.time.advance(wait)
        node.until_idle()
    return seconds


def one_shot(node: Stepper, **options: Any) -> int:
    timer = schedule_once("work", "once", after=1, **options)
    node.time.advance(1)
    return timer.id


def test_the_waits_double_up_to_the_longest(group: TimerGroup, node: Stepper, handlers: TemporaryHandlers) -> None:
    handlers.script("tests.noop", ValueError("down"))
    timer = one_shot(node)
    assert waits(node) == [120, 240, 480, 600, 600]
    assert words_of(timer) == ["error"] * 6
    row = Waiting.objects.get()
    assert (row.state, row.attempt, row.error_title) == ("failed", 6, "ValueError: down")
    assert [fire.number_of_try for fire in handlers.calls] == [1, 2, 3, 4, 5, 6]
    assert len({fire.execution_id for fire in handlers.calls}) == 1
    assert len({fire.fence for fire in handlers.calls}) == 6


def test_jitter_lengthens_or_shortens_a_wait_by_at_most_its_fraction(
    time: VirtualTime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    factories.group("work", retry={"max_retries": 200, "min_backoff": 100, "max_backoff": 100, "jitter": 0.25})
    handlers.script("tests.noop", ValueError("down"))
    one_shot(node)
    seconds = waits(node, most=60)
    assert all(75 <= wait <= 125 for wait in seconds)
    assert min(seconds) < 90 < 110 < max(seconds)


def test_a_list_of_delays_is_followed_and_its_last_repeats(
    time: VirtualTime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    factories.group("work", retry={"max_retries": 5, "delays": [1, 60, 0.5]})
    handlers.script("tests.noop", ValueError("down"))
    one_shot(node)
    assert waits(node) == [1, 60, 0.5, 0.5, 0.5]


def test_a_timers_own_policy_replaces_its_groups(group: TimerGroup, node: Stepper, handlers: TemporaryHandlers) -> None:
    handlers.script("tests.noop", ValueError("down"))
    one_shot(node, overrides={"retry": {"max_retries": 2, "min_backoff": 7, "max_backoff": 10}})
    assert waits(node) == [7, 10]


def test_no_retries_at_all_is_a_policy_too(group: TimerGroup, node: Stepper, handlers: TemporaryHandlers) -> None:
    handlers.script("tests.noop", ValueError("down"))
    timer = one_shot(node, overrides={"retry": {"max_retries": 0}})
    assert waits(node) == []
    assert words_of(timer) == ["error"]
    assert Waiting.objects.get().state == "failed"


def test_retry_after_says_when_and_counts_as_a_try(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.noop", Retry("busy", after=33), Retry("busy", after=1), Retry("busy"), None)
    timer = one_shot(node)
    assert waits(node) == [33, 1, 480]
    assert words_of(timer) == ["error", "error", "error", "succeeded"]


def test_retry_after_ends_with_max_retries(group: TimerGroup, node: Stepper, handlers: TemporaryHandlers) -> None:
    handlers.script("tests.noop", Retry("busy", after=1))
    one_shot(node, overrides={"retry": {"max_retries": 3}})
    assert waits(node) == [1, 1, 1]
    assert Waiting.objects.get().error_title == "Retry: busy"


def test_a_snooze_is_not_counted_against_max_retries(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.noop", *[Snooze(60)] * 10, ValueError("down"), Snooze(5), ValueError("down"), None)
    timer = one_shot(node, overrides={"retry": {"max_retries": 2}})
    assert waits(node) == [60] * 10 + [120, 5, 240]
    assert words_of(timer) == ["snoozed", "error", "snoozed", "error", "succeeded"]
    assert handlers.calls[-1].number_of_try == 5


def test_fail_is_final_whatever_retries_are_left(group: TimerGroup, node: Stepper, handlers: TemporaryHandlers) -> None:
    handlers.script("tests.noop", Fail("no such account"))
    timer = one_shot(node)
    assert waits(node) == []
    assert words_of(timer) == ["error"]
    row = Waiting.objects.get()
    assert (row.state, row.error_title) == ("failed", "Fail: no such account")
    assert row.reason == "the handler raised Fail"


def test_a_discard_is_tried_again_by_policy_and_counts(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.noop", Discard("not yet"))
    timer = one_shot(node, overrides={"retry": {"max_retries": 2}})
    assert waits(node) == [120, 240]
    assert words_of(timer) == ["discarded"] * 3
    assert Waiting.objects.get().state == "failed"


def test_nothing_is_tried_more_than_a_thousand_times(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.noop", Retry(after=1))
    timer = one_shot(node)
    node.until_idle()
    Waiting.objects.update(attempt=998, forgiven=998)
    assert waits(node) == [1, 1]
    assert words_of(timer) == ["error"] * 3
    row = Waiting.objects.get()
    assert (row.state, row.reason.partition(";")[0]) == ("failed", "had 1,000 tries, the most of one execution")


@pytest.mark.parametrize("seconds", [0.0, 0.001, 86_400.0])
def test_the_next_try_is_available_exactly_after_its_wait(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers, seconds: float
) -> None:
    handlers.script("tests.noop", Snooze(seconds), None)
    one_shot(node)
    node.step()
    assert Waiting.objects.get().available_at == node.time.now + timedelta(seconds=seconds)


def test_failures_without_an_error_are_told_apart_by_their_reasons(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    TimerGroup.objects.update(retry={"max_retries": 0}, version=2)
    for name, reason in (("a", "vendor 7 is away"), ("b", "vendor 12 is away"), ("c", "no stock")):
        handlers.add(f"tests.{name}", lambda fire, reason=reason: _discard(reason))
        schedule_once("work", name, after=0, handler=f"tests.{name}")
    node.until_idle()
    faults = dict(Waiting.objects.filter(state="failed").values_list("name", "error_fingerprint"))
    assert faults["a"] == faults["b"] != faults["c"]
    assert len(str(faults["c"])) == 32


def _discard(reason: str) -> None:
    raise Discard(reason)


def test_an_execution_is_snoozed_more_often_than_an_id_has_numbers_for_tries(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.noop", Snooze(60))
    timer = one_shot(node)
    execution = node.claim()[0]
    node.held.clear()
    for _ in range(3):
        node.held.append(execution)
        node.run()
        node.finish()
        node.time.advance(60)
        (execution,) = node.claim()
        node.held.clear()
    # The rest of its life so far, without living through it.
    node.release()
    execution.snoozes = 1_100
    handlers.script("tests.noop", Snooze(60), ValueError("down"), None)
    node.held.append(execution)
    node.run()
    node.finish()
    row = Waiting.objects.get()
    assert (row.state, row.reason, row.snoozes, row.attempt) == ("ready", "snoozed 1,101 times", 1_101, 1)
    node.time.advance(60)
    node.until_idle()
    node.time.advance(600)
    node.until_idle()
    rows = rows_of(timer)
    assert [(row.outcome, row.attempt, row.reason) for row in rows] == [
        ("snoozed", 1, None),
        ("error", 2, "after 1,101 snoozes"),
        ("succeeded", 3, None),
    ]


def test_snoozes_in_a_row_survive_a_release(group: TimerGroup, node: Stepper, handlers: TemporaryHandlers) -> None:
    handlers.script("tests.noop", Snooze(60))
    one_shot(node)
    for _ in range(2):
        node.until_idle()
        node.time.advance(60)
    node.claim()
    node.release()
    assert Waiting.objects.get().snoozes == 2


def test_snoozes_in_a_row_survive_a_pause_of_the_group(
    group: TimerGroup, node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.script("tests.noop", Snooze(60))
    one_shot(node)
    for _ in range(2):
        node.until_idle()
        node.time.advance(60)
    node.claim()
    pause_group("work")
    assert Waiting.objects.get().snoozes == 2
