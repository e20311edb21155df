from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from tests import factories
from timers.domain.execution_id import try_id
from timers.domain.payload import Unreadable
from timers.insights.one_execution import one
from timers.models import Timer

pytestmark = pytest.mark.django_db


@pytest.fixture
def timer() -> Timer:
    return factories.timer("it", in_group=factories.group("here"), payload={"n": 1})


def test_an_ended_one_is_told_with_all_its_tries_the_final_one_last(timer: Timer) -> None:
    final = factories.attempt(timer, number=3, result={"paid": True}, exchange={"status": 200}, log="done")
    for number in (2, 1):
        row_id = try_id(str(final.pk), number)
        factories.attempt(timer, "error", number=number, id=row_id, scheduled_for=final.scheduled_for)

    found = one(final.pk)

    assert found is not None
    assert (found.execution.state, found.result) == ("succeeded", {"paid": True})
    assert [(row.attempt, row.outcome) for row in found.attempts] == [(1, "error"), (2, "error"), (3, "succeeded")]
    assert (found.attempts[-1].exchange, found.attempts[-1].log) == ({"status": 200}, "done")
    assert (found.payload, found.payload_of) == ({"n": 1}, "timer")


def test_a_failed_one_is_told_with_the_payload_that_it_failed_with(timer: Timer) -> None:
    row = factories.waiting(timer, payload={"n": 0})

    found = one(row.pk)

    assert found is not None
    assert (found.execution.state, found.payload, found.payload_of) == ("failed", {"n": 0}, "execution")
    assert found.result is None


def test_a_waiting_one_without_a_payload_of_its_own_has_its_timers(timer: Timer) -> None:
    found = one(factories.waiting(timer, "ready").pk)

    assert found is not None
    assert (found.payload, found.payload_of) == ({"n": 1}, "timer")


@pytest.mark.parametrize(("details", "payload", "whose"), [(None, {"n": 1}, "timer"), ("[7]", [7], "execution")])
def test_a_held_one_tells_its_holder(timer: Timer, details: str | None, payload: Any, whose: str) -> None:
    claim = factories.claim(factories.node("node-a"), timer, 3)
    execution = UUID(claim.executions[1])
    if details:
        claim.details = {str(execution): {"tried": 2, "payload": details, "missed_count": 4}}
        claim.save()

    found = one(execution)

    assert found is not None
    assert (found.execution.state, found.execution.node, found.execution.id) == ("claimed", "node-a", execution)
    assert (found.payload, found.payload_of) == (payload, whose)
    assert (found.execution.attempt, found.execution.missed_count) == ((3, 4) if details else (1, 0))


def test_history_outlives_its_timer_and_a_payload_that_cannot_be_read_is_told(timer: Timer) -> None:
    final = factories.attempt(timer)
    factories.spoil(timer, "payload")

    found = one(final.pk)
    assert found is not None
    assert isinstance(found.payload, Unreadable)
    timer.delete()
    found = one(final.pk)
    assert found is not None
    assert (found.payload, found.payload_of, found.execution.timer) == (None, "", "it")


def test_what_is_nowhere_or_not_to_be_seen_is_none(timer: Timer) -> None:
    row = factories.waiting(timer)

    assert one(uuid4()) is None
    assert one(UUID(try_id(str(row.pk), 1))) is None, "an id of one of its tries"
    assert one(row.pk, groups={"there"}) is None
    assert one(row.pk, groups={"here"}) is not None
