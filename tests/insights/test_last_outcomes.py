from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import factories
from timers import clock
from timers.domain.execution_id import execution_id
from timers.insights.last_outcomes import tell_last_outcomes
from timers.models import Timer
from timers.schedules.instant import to_microseconds

pytestmark = pytest.mark.django_db


def fired(name: str, **fields: object) -> Timer:
    """A timer that fired once; its row does not say how that ended."""
    return factories.timer(name, state="finished", next_fire_at=None, last_fire_at=clock.now(), **fields)


def told(*timers: Timer) -> list[str]:
    tell_last_outcomes(timers)
    return [timer.last_outcome for timer in timers]


def test_the_ledger_tells_how_it_ended() -> None:
    done, cancelled = fired("done"), fired("cancelled")
    factories.attempt(done, "error", number=1, ago=30)
    factories.attempt(done, "succeeded", number=2, ago=20)
    factories.attempt(cancelled, "cancelled")
    assert told(done, cancelled) == ["succeeded", "cancelled"]


def test_a_one_shot_that_succeeds_at_its_second_try_has_succeeded() -> None:
    timer = fired("retried")
    first = factories.attempt(timer, "error", number=1)
    execution = execution_id(to_microseconds(first.scheduled_for), timer.id)
    factories.attempt(timer, "succeeded", number=2, id=execution)
    assert told(timer) == ["succeeded"]


def test_one_that_waits_for_a_person_has_failed_and_one_that_is_retried_has_not_ended() -> None:
    parked, retried = fired("parked"), fired("retried")
    for timer, state in ((parked, "failed"), (retried, "ready")):
        row = factories.attempt(timer, "error", number=1)
        execution = execution_id(to_microseconds(row.scheduled_for), timer.id)
        factories.waiting(timer, state, id=execution)
    assert told(parked, retried) == ["failed", ""]


def test_what_the_row_knows_stays_and_what_has_not_fired_has_none() -> None:
    known, unfired = fired("known", last_outcome="failed"), factories.timer("unfired")
    factories.attempt(known, "succeeded")
    with CaptureQueriesContext(connection) as queries:
        assert told(known, unfired) == ["failed", ""]
    assert not queries
