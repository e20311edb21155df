"""Executions of a backfill run one after the other, and never beside another execution unless that is asked for."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.handlers import TemporaryHandlers
from tests.support.serial_timers import SERIAL, finish, minutely, running
from timers.scheduling import (
    backfill_timer,
)
from timers.testing import START, Stepper, VirtualTime


@pytest.fixture(autouse=True)
def _noop(handlers: TemporaryHandlers) -> None:
    pass


@pytest.mark.parametrize("policy", SERIAL)
def test_a_backfill_runs_one_after_the_other_and_never_beside_the_schedule(
    time: VirtualTime, node: Stepper, policy: str
) -> None:
    timer = minutely(policy)
    running(node)
    backfill_timer("work", "t", start=START - timedelta(minutes=3), end=START)
    assert node.claim() == []
    ran = []
    for _ in range(10):
        assert len(node.held) <= 1
        ran += [execution.origin for execution in node.held]
        finish(node)
        node.claim()
    assert ran == ["schedule", "backfill", "backfill", "backfill"]
    timer.refresh_from_db()
    assert timer.open_execution is None


@pytest.mark.parametrize("policy", ["skip", "queue"])
def test_the_schedule_goes_before_the_rest_of_a_backfill(time: VirtualTime, node: Stepper, policy: str) -> None:
    minutely(policy)
    node.until_idle()
    backfill_timer("work", "t", start=START - timedelta(minutes=3), end=START)
    ran = []
    node.claim()
    time.advance(60)
    node.claim()
    for _ in range(10):
        assert len(node.held) <= 1
        ran += [execution.origin for execution in node.held]
        finish(node)
        node.claim()
    assert ran == ["backfill", "schedule", "backfill", "backfill"]


def test_a_backfill_that_may_overlap_runs_at_once(time: VirtualTime, node: Stepper) -> None:
    minutely("skip")
    running(node)
    backfill_timer("work", "t", start=START - timedelta(minutes=3), end=START, overlap="allow")
    assert len(node.claim()) == 3


def test_a_backfill_of_a_timer_that_may_overlap_is_one_after_the_other(time: VirtualTime, node: Stepper) -> None:
    minutely("allow")
    running(node)
    backfill_timer("work", "t", start=START - timedelta(minutes=3), end=START)
    assert len(node.claim()) == 1
    finish(node)
    assert len(node.claim()) == 1
