"""The policy retry_blocks: whether an execution that waits for its retry keeps its timer from firing."""

from __future__ import annotations

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import words_of
from tests.support.serial_timers import SERIAL, finish, rate, running
from timers.models import Timer, Waiting
from timers.scheduling import (
    schedule_fixed_delay,
    schedule_fixed_rate,
)
from timers.testing import Stepper, VirtualTime


@pytest.fixture(autouse=True)
def _noop(handlers: TemporaryHandlers) -> None:
    pass


def failing(policy: str, *, retry_blocks: bool) -> Timer:
    return rate(policy, retry_blocks=retry_blocks, retry={"max_retries": 3, "min_backoff": 120, "max_backoff": 120})


@pytest.mark.parametrize("policy", SERIAL)
def test_a_retry_that_does_not_block_lets_the_next_instant_run(
    time: VirtualTime, node: Stepper, handlers: TemporaryHandlers, policy: str
) -> None:
    timer = failing(policy, retry_blocks=False)
    handlers.script("tests.noop", ValueError("down"), None)
    node.play(seconds=150, every=1)
    node.play(seconds=60, every=1)
    assert words_of(timer) == ["error", "succeeded", "succeeded", "succeeded"]


def test_a_minute_timer_whose_runs_fail_once_runs_each_minute_where_retries_do_not_block(
    time: VirtualTime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    timer = failing("skip", retry_blocks=False)

    def fail_at_first(fire: object) -> None:
        if fire.number_of_try == 1:  # type: ignore[attr-defined]
            raise ValueError("down")

    handlers.add("tests.noop", fail_at_first)
    node.advance(minutes=20)
    assert len([fire for fire in handlers.calls if fire.number_of_try == 1]) == 20
    assert "skipped" not in words_of(timer)


def test_a_minute_timer_whose_runs_fail_once_runs_each_third_minute_where_retries_block(
    time: VirtualTime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    failing("skip", retry_blocks=True)

    def fail_at_first(fire: object) -> None:
        if fire.number_of_try == 1:  # type: ignore[attr-defined]
            raise ValueError("down")

    handlers.add("tests.noop", fail_at_first)
    node.advance(minutes=20)
    assert len([fire for fire in handlers.calls if fire.number_of_try == 1]) < 11


@pytest.mark.parametrize("policy", SERIAL)
def test_a_retry_that_does_not_block_waits_for_what_runs(
    time: VirtualTime, node: Stepper, handlers: TemporaryHandlers, policy: str
) -> None:
    factories.group("work", overlap_policy=policy, retry_blocks=False, retry={"min_backoff": 61, "max_backoff": 61})
    timer = schedule_fixed_rate("work", "t", period=60)
    handlers.script("tests.noop", ValueError("down"), None)
    failed = running(node)
    finish(node)
    running(node)
    time.advance(1)
    assert node.claim() == []
    assert Waiting.objects.get(id=failed.id).state == "queued"
    finish(node)
    assert [execution.id for execution in node.claim()] == [failed.id]
    finish(node)
    assert words_of(timer) == ["error", "succeeded", "succeeded"]


def test_a_retry_of_a_delay_blocks_whatever_the_policy(
    time: VirtualTime, node: Stepper, handlers: TemporaryHandlers
) -> None:
    factories.group("work", retry_blocks=False)
    timer = schedule_fixed_delay("work", "t", delay=10)
    handlers.script("tests.noop", ValueError("down"), None)
    node.advance(100)
    timer.refresh_from_db()
    assert timer.open_execution is not None
