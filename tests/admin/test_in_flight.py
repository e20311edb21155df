"""After a change through the admin, the executions that it came too late for are named."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests import factories
from tests.admin.pages import page_of, run, told
from tests.admin.test_forms import shown
from timers.control.calendars import create_calendar
from timers.control.subscriptions import create_subscription
from timers.insights.words import in_flight_words
from timers.models import Claim, Timer


def begun(timer: Timer, number: int = 1) -> str:
    """Executions of a timer that a consumer has, as the page is to name them."""
    claim = factories.delivered(timer, number)
    return in_flight_words(sorted(map(str, claim.executions)))


@pytest.mark.parametrize("action", ["pause", "skip_next", "cancel"])
def test_action_on_a_timer_names_what_is_in_flight(alice: Client, action: str) -> None:
    timer = factories.timer()
    words = begun(timer)

    assert f"{timer}: {words}" in told(run(alice, "timer", action, timer.pk))


def test_pause_of_a_timer_until_an_instant_names_what_is_in_flight(alice: Client) -> None:
    timer = factories.timer()
    words = begun(timer)
    answers = {"answered": "1", "until_0": "2199-01-01", "until_1": "08:00:00", "reason": ""}

    assert words in told(run(alice, "timer", "pause_until", timer.pk, **answers))


def test_action_that_calls_nothing_back_names_nothing(alice: Client) -> None:
    timer = factories.timer()
    begun(timer)

    assert told(run(alice, "timer", "fire_overlapping", timer.pk)) == "Fired: 1 timer."


def test_pause_of_a_group_names_what_is_in_flight(alice: Client) -> None:
    timer = factories.timer()
    words = begun(timer)

    assert words in told(run(alice, "timergroup", "pause", timer.group_id))


def test_many_executions_in_flight_are_counted_and_some_named(alice: Client) -> None:
    timer = factories.timer()
    words = begun(timer, 7)

    assert words.startswith("7 executions already in flight: ")
    assert words.endswith(" and 2 more")
    assert words in told(run(alice, "timergroup", "pause", timer.group_id))


@pytest.mark.parametrize("change", [{"period": "120"}, {"payload": "[1]"}])
def test_form_of_a_timer_names_what_is_in_flight(alice: Client, change: dict[str, str]) -> None:
    timer = factories.timer()
    words = begun(timer)
    page = page_of("timer", timer.pk)

    assert words in told(alice.post(page, {**shown(alice, page), **change}, follow=True))


def test_form_of_a_timer_that_changes_nothing_names_nothing(alice: Client) -> None:
    timer = factories.timer()
    begun(timer)
    page = page_of("timer", timer.pk)

    assert "in flight" not in told(alice.post(page, shown(alice, page), follow=True))


def test_form_of_a_group_names_what_is_in_flight(alice: Client) -> None:
    timer = factories.timer()
    words = begun(timer)
    page = page_of("timergroup", timer.group_id)

    assert words in told(alice.post(page, {**shown(alice, page), "attempt_timeout": "90"}, follow=True))


def test_form_of_a_calendar_names_what_is_in_flight(alice: Client) -> None:
    calendar = create_calendar("free", rules=[])
    words = begun(factories.timer(group=factories.group("billing", exclusion_calendars=["free"])))
    sent = {"name": "free", "description": "", "time_zone": "", "rules": '[{"weekdays": ["sat", "sun"]}]'}

    answer = alice.post(page_of("exclusioncalendar", calendar.pk), sent, follow=True)
    assert words in told(answer)


def test_form_of_the_clusters_pause_names_what_is_in_flight(alice: Client) -> None:
    words = begun(factories.timer())

    assert words in told(alice.post(reverse("admin:timers_clusterpause_add"), {"reason": ""}, follow=True))


@pytest.fixture
def subscribed() -> tuple[Any, str]:
    """A subscription, and what is in flight for it."""
    timer = factories.timer()
    row = create_subscription(timer.group.name, "mail", action={"kind": "pull"})
    claim = factories.delivered(timer)
    execution = str(claim.executions[0])
    Claim.objects.update(details={execution: {"subscription": row.ordinal}})
    return row, in_flight_words([execution])


@pytest.mark.parametrize("action", ["pause", "remove"])
def test_action_on_a_subscription_names_what_is_in_flight(
    alice: Client, subscribed: tuple[Any, str], action: str
) -> None:
    row, words = subscribed

    assert words in told(run(alice, "subscription", action, row.pk))
