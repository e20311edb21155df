"""on_finish = delete: a timer goes with its last occurrence, however that ends, and not before."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import words_of
from timers.control.executions import cancel_waiting, dismiss_failed
from timers.models import Timer, Waiting
from timers.scheduling import fire_timer, schedule_fixed_rate, schedule_once, skip_next_fire
from timers.testing import START, Stepper

pytestmark = pytest.mark.usefixtures("handlers")


def test_a_one_shot_goes_with_its_end(node: Stepper) -> None:
    factories.group("work", on_finish="delete")
    timer = schedule_once("work", "once", after=1)
    node.advance(1)
    assert not Timer.objects.exists()
    assert words_of(timer) == ["succeeded"]


@pytest.mark.parametrize("policies", [{"misfire_policy": "skip"}, {"max_lateness": 60}])
def test_a_one_shot_that_is_too_late_goes_too(node: Stepper, policies: dict[str, object]) -> None:
    factories.group("work", on_finish="delete", **policies)
    timer = schedule_once("work", "once", after=1)
    node.time.advance(minutes=10)
    node.until_idle()
    assert not Timer.objects.exists()
    assert words_of(timer) == ["skipped"]


def test_a_timer_whose_last_instants_are_skipped_goes_when_its_open_one_ends(node: Stepper) -> None:
    factories.group("work", on_finish="delete")
    timer = schedule_fixed_rate("work", "rate", period=10, end_at=START + timedelta(seconds=25))
    node.time.advance(10)
    node.claim()
    node.time.advance(20)
    node.claim()
    assert Timer.objects.get().state == "finished"
    node.run()
    node.finish()
    assert not Timer.objects.exists()
    assert words_of(timer) == ["succeeded", "skipped"]


def test_it_stays_while_another_of_its_executions_is_under_way(node: Stepper, handlers: TemporaryHandlers) -> None:
    factories.group("work", on_finish="delete", overlap_policy="allow", retry={"min_backoff": 5})
    handlers.script("tests.noop", None, ValueError("down"), None)
    timer = schedule_fixed_rate("work", "rate", period=1, max_fires=2)
    other = Stepper(node.time)
    node.time.advance(1)
    node.claim()
    node.time.advance(1)
    other.claim()
    node.run()
    node.finish()
    assert Timer.objects.get().state == "finished", "one of its executions is claimed elsewhere"
    other.advance(10)
    assert words_of(timer) == ["succeeded", "error", "succeeded"]
    assert not Timer.objects.exists()


def test_it_stays_while_a_manual_run_waits(node: Stepper, handlers: TemporaryHandlers) -> None:
    factories.group("work", on_finish="delete")
    timer = schedule_once("work", "once", after=1)
    fire_timer("work", "once", delay=5)
    node.advance(1)
    assert Timer.objects.exists()
    node.advance(5)
    assert words_of(timer) == ["succeeded", "succeeded"]
    assert not Timer.objects.exists()


def test_it_stays_for_what_has_failed_and_goes_when_that_is_dismissed(
    node: Stepper, handlers: TemporaryHandlers
) -> None:
    factories.group("work", on_finish="delete", retry={"max_retries": 0})
    handlers.script("tests.noop", ValueError("down"))
    schedule_once("work", "once", after=1)
    node.advance(1)
    assert Timer.objects.exists()
    dismiss_failed([str(Waiting.objects.get().id)])
    assert not Timer.objects.exists()


def test_it_goes_with_a_retry_that_is_cancelled(node: Stepper, handlers: TemporaryHandlers) -> None:
    factories.group("work", on_finish="delete")
    handlers.script("tests.noop", ValueError("down"))
    schedule_once("work", "once", after=1)
    node.advance(1)
    cancel_waiting([str(Waiting.objects.get().id)])
    assert not Timer.objects.exists()


def test_it_goes_when_its_last_fire_is_left_out(node: Stepper) -> None:
    factories.group("work", on_finish="delete")
    schedule_once("work", "once", after=1)
    skip_next_fire("work", "once")
    assert not Timer.objects.exists()


def test_a_one_shot_that_runs_stays_though_a_manual_run_of_it_is_cancelled(
    node: Stepper, handlers: TemporaryHandlers
) -> None:
    factories.group("work", on_finish="delete", retry={"min_backoff": 1})
    handlers.script("tests.noop", ValueError("down"), None)
    timer = schedule_once("work", "once", after=1)
    node.time.advance(1)
    node.claim()
    manual = fire_timer("work", "once", delay=60)
    assert cancel_waiting([manual]) == 1
    node.advance(5)
    assert words_of(timer) == ["error", "succeeded", "cancelled"]
    assert not Timer.objects.exists()


@pytest.mark.parametrize("override", ["keep", "delete"])
def test_a_timers_own_word_counts(node: Stepper, override: str) -> None:
    factories.group("work", on_finish="keep" if override == "delete" else "delete")
    schedule_once("work", "ends", after=1, overrides={"on_finish": override})
    schedule_once("work", "left out", after=1, overrides={"on_finish": override})
    skip_next_fire("work", "left out")
    node.advance(1)
    assert Timer.objects.count() == (2 if override == "keep" else 0)
