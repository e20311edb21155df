"""The README's example does what the README says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.docs import snippets
from tests.docs.one_node import OneNode, set_clock
from timers import clock
from timers.models import Attempt, Timer

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _example() -> Iterator[None]:
    set_clock(clock.now())  # the clock stands still until it is moved on
    with snippets.handlers_of_its_own():
        snippets.run("README.md")
        yield


def test_the_example_leaves_the_timers_that_it_says() -> None:
    timers = {timer.name: timer for timer in Timer.objects.filter(group__name="billing")}

    assert {name: timer.state for name, timer in timers.items()} == {
        "invoice-4711": "active", "monthly": "active", "held-4711": "cancelled",
    }  # fmt: skip
    assert timers["monthly"].schedule == {"expression": "0 7 1 * *"}
    assert timers["monthly"].next_fire_at.astimezone().minute == 0


def test_the_invoice_is_discarded_once_and_then_sent() -> None:
    node = OneNode()
    node.run_due()  # the run that fire_timer asked for

    for seconds in (30, 10):  # its instant, and the first wait of the group's policy
        set_clock(clock.now() + timedelta(seconds=seconds))
        node.run_due()

    rows = Attempt.objects.filter(name="invoice-4711").order_by("attempt")
    assert [(row.attempt, row.outcome, row.result) for row in rows] == [
        (1, "discarded", None),
        (2, "succeeded", {"sent_to": "accounts@example.org"}),
    ]


def test_a_timer_fired_by_hand_runs_beside_its_schedule() -> None:
    before = Timer.objects.get(name="monthly").next_fire_at

    (outcome,) = OneNode().run_due()

    assert outcome.execution.origin == "manual"
    assert outcome.execution.payload == {"to": "test@example.org"}
    assert Timer.objects.get(name="monthly").next_fire_at == before
