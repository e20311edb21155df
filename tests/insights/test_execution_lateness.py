"""Lateness of executions in lists: from the instant due, the timer's share of the jitter included."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from tests import factories
from timers import clock
from timers.insights import execution_list, executions
from timers.insights.execution_list import find
from timers.models import Attempt, Timer

pytestmark = pytest.mark.django_db


@pytest.fixture
def mine(db: None) -> Timer:
    return factories.timer("mine", in_group=factories.group("here"))


def all_pages(**conditions: Any) -> list[UUID]:
    """The row ids of all pages."""
    page = find(**conditions)
    ids = [row.row_id for row in page.executions]
    while page.next is not None:
        page = find(before_id=page.next, **conditions)
        ids += [row.row_id for row in page.executions]
    return ids


@pytest.fixture
def jittered(mine: Timer) -> Timer:
    mine.jitter = 300
    mine.save()
    assert mine.offset > timedelta(seconds=60)
    return mine


def attempt_after(timer: Timer, late: float, *, ago: float, **fields: Any) -> Attempt:
    """A first try that began so many seconds after the timer's share of the jitter."""
    due = clock.now() - timedelta(seconds=ago)
    return factories.attempt(timer, ago=ago, started_at=due + timer.offset + timedelta(seconds=late), **fields)


def test_lateness_counts_from_the_share_of_the_jitter(jittered: Timer) -> None:
    attempt_after(jittered, 0.5, ago=4000)
    (row,) = find().executions
    assert row.lateness == pytest.approx(0.5, abs=0.01)
    (same,) = executions.latest()
    assert same.lateness_ms == pytest.approx(500, abs=10)


def test_min_lateness_leaves_out_punctual_runs_of_timers_with_jitter(jittered: Timer) -> None:
    late = [attempt_after(jittered, late, ago=4000 + late) for late in (90.0, 70.0)]
    for number in range(30):
        attempt_after(jittered, 0.1, ago=1000 + number)
    assert all_pages(min_lateness=60, limit=1) == [row.pk for row in reversed(late)]


def test_pages_of_late_executions_go_on_after_many_candidates(jittered: Timer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution_list, "_LATE_CANDIDATES", 4)
    late = [attempt_after(jittered, 90, ago=9000 - 200 * number).pk for number in range(5)]
    for number in range(40):
        attempt_after(jittered, 0.1, ago=8990 - 30 * number)
    for limit in (1, 2, 3, 50):
        assert all_pages(min_lateness=60, limit=limit) == late[::-1]


def test_lateness_of_a_timer_that_is_gone_counts_from_the_instant_scheduled(jittered: Timer) -> None:
    row = attempt_after(jittered, 1, ago=4000)
    assert row.started_at is not None
    nominal = (row.started_at - row.scheduled_for).total_seconds()
    jittered.delete()
    (view,) = find(min_lateness=60).executions
    assert view.lateness == pytest.approx(nominal)


def test_what_a_consumer_pulled_has_no_lateness(mine: Timer) -> None:
    factories.attempt(mine, node="consumer c", worker=None, started_at=clock.now(), ago=3600)

    (row,) = find().executions

    assert row.lateness is None
    assert find(min_lateness=1).executions == []
