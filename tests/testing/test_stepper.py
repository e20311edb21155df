"""The public stepper: what a user's tests rely on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError

from tests import factories
from tests.support.handlers import TemporaryHandlers
from timers.handlers import Fire, Retry
from timers.models import Attempt, Waiting
from timers.scheduling import (
    cancel_timer,
    pause_group,
    pause_timer,
    schedule_cron,
    schedule_fixed_delay,
    schedule_fixed_rate,
    schedule_once,
)
from timers.testing import START, Stepper, VirtualTime

pytestmark = pytest.mark.django_db


@pytest.fixture
def handlers() -> Iterator[TemporaryHandlers]:
    temporary = TemporaryHandlers()
    temporary.add("tests.noop")
    yield temporary
    temporary.forget()


@pytest.fixture(autouse=True)
def group(timers_time: VirtualTime, handlers: TemporaryHandlers) -> None:
    factories.group("work")


def fire_times(handlers: TemporaryHandlers, name: str) -> list[datetime]:
    return [fire.fire_time.astimezone(UTC) for fire in handlers.called(name)]


def test_a_nightly_timer_fires_at_its_own_instant_each_night(timers_node: Stepper, handlers: TemporaryHandlers) -> None:
    schedule_cron("work", "nightly", expression="15 2 * * *", time_zone="Europe/Berlin")

    outcomes = timers_node.advance(days=3)

    nights = [datetime(2027, 3, day, 1, 15, tzinfo=UTC) for day in (2, 3, 4)]
    assert fire_times(handlers, "nightly") == nights
    assert [outcome.word for outcome in outcomes] == ["succeeded"] * 3
    assert [row.started_at for row in Attempt.objects.order_by("id")] == nights
    assert timers_node.time.now == START + timedelta(days=3)


def test_timers_that_come_due_on_the_way_run_in_order(timers_node: Stepper, handlers: TemporaryHandlers) -> None:
    schedule_once("work", "late", after=50)
    schedule_once("work", "early", after=10)
    schedule_fixed_rate("work", "steady", period=20)
    schedule_once("work", "beyond", after=61)

    timers_node.advance(minutes=1)

    assert [fire.name for fire in handlers.calls] == ["early", "steady", "steady", "late", "steady"]


def test_what_is_due_already_runs_before_time_goes_on(timers_node: Stepper, handlers: TemporaryHandlers) -> None:
    schedule_once("work", "now", after=0)

    timers_node.advance(10)

    assert fire_times(handlers, "now") == [START]


def test_retries_come_on_the_way_too(timers_node: Stepper, handlers: TemporaryHandlers) -> None:
    handlers.script("tests.noop", Retry(after=5), Retry(after=7), "done")
    schedule_once("work", "t", after=1)

    outcomes = timers_node.advance(60)

    assert fire_times(handlers, "t") == [START + timedelta(seconds=at) for at in (1, 6, 13)]
    assert [outcome.word for outcome in outcomes] == ["error", "error", "succeeded"]


def test_a_handler_may_take_time_of_its_own(timers_node: Stepper, handlers: TemporaryHandlers) -> None:
    handlers.add("tests.noop", lambda fire: timers_node.time.advance(4))
    schedule_fixed_delay("work", "t", delay=10)

    timers_node.advance(30)

    assert fire_times(handlers, "t") == [START + timedelta(seconds=at) for at in (10, 24)]


def test_a_handler_that_takes_longer_than_the_whole_span_ends_it_later(
    timers_node: Stepper, handlers: TemporaryHandlers
) -> None:
    handlers.add("tests.noop", lambda fire: timers_node.time.advance(100))
    schedule_once("work", "t", after=10)

    timers_node.advance(30)

    assert timers_node.time.now == START + timedelta(seconds=110)


def test_only_moving_the_clock_is_a_downtime(timers_node: Stepper, handlers: TemporaryHandlers) -> None:
    schedule_fixed_rate("work", "minutely", period=60)

    timers_node.time.advance(days=3)
    timers_node.until_idle()

    (fire,) = handlers.called("minutely")
    assert fire.scheduled_fire_time == START + timedelta(days=3)
    assert fire.missed_count == 3 * 24 * 60 - 1


def test_a_far_span_with_nothing_due_takes_no_step(
    timers_node: Stepper, handlers: TemporaryHandlers, django_assert_max_num_queries: object
) -> None:
    schedule_cron("work", "leap", expression="0 0 29 2 *")

    with django_assert_max_num_queries(15):  # type: ignore[operator]
        timers_node.advance(days=360)

    assert handlers.calls == []


def test_a_node_lives_only_for_the_groups_that_it_serves(timers_time: VirtualTime, handlers: TemporaryHandlers) -> None:
    factories.group("elsewhere", partition="other")
    factories.group("special", required_roles=["gpu"])
    for name in ("work", "elsewhere", "special"):
        schedule_fixed_rate(name, f"in {name}", period=60)

    Stepper(timers_time, roles=["gpu", "big"]).advance(minutes=2)

    assert sorted({fire.name for fire in handlers.calls}) == ["in special", "in work"]


def test_skipped_occurrences_do_not_end_a_pass_early(timers_node: Stepper, handlers: TemporaryHandlers) -> None:
    schedule_fixed_rate("work", "late", period=60, overrides={"misfire_policy": "skip"})
    timers_node.time.advance(3000)

    timers_node.until_idle()

    assert timers_node.skipped == 1
    assert handlers.calls == []


def test_a_database_error_of_a_handler_ends_its_try_and_not_the_test(
    timers_node: Stepper, handlers: TemporaryHandlers
) -> None:
    User.objects.create(username="taken")
    handlers.add("tests.noop", lambda fire: User.objects.create(username="taken"))
    schedule_once("work", "t", after=0)

    (outcome,) = timers_node.until_idle()

    assert IntegrityError.__name__ in (outcome.error_title or "")
    assert Waiting.objects.get().name == "t"


def test_what_a_handler_wrote_before_it_raised_stays_as_in_a_worker(
    timers_node: Stepper, handlers: TemporaryHandlers
) -> None:
    def write_and_raise(fire: Fire) -> None:
        User.objects.create(username="written")
        raise ValueError("afterwards")

    handlers.add("tests.noop", write_and_raise)
    schedule_once("work", "t", after=0)

    timers_node.until_idle()

    assert User.objects.filter(username="written").exists()


def test_an_async_handler_works_in_the_transaction_of_the_test(
    timers_node: Stepper, handlers: TemporaryHandlers
) -> None:
    async def count_users(fire: Fire) -> int:
        await User.objects.acreate(username="second")
        return await User.objects.acount()

    handlers.add_async("tests.noop", count_users)
    User.objects.create(username="first")
    schedule_once("work", "t", after=0)

    (outcome,) = timers_node.until_idle()

    assert (outcome.word, outcome.result) == ("succeeded", "2")


def test_what_was_asked_to_end_before_it_began_is_not_run(timers_node: Stepper, handlers: TemporaryHandlers) -> None:
    schedule_once("work", "t", after=0)
    timers_node.claim()

    cancel_timer("work", "t")
    timers_node.until_idle()

    assert handlers.calls == []
    assert [row.outcome for row in Attempt.objects.all()] == ["cancelled"]


def test_a_pause_ends_by_itself_on_the_way(timers_node: Stepper, handlers: TemporaryHandlers) -> None:
    schedule_fixed_rate("work", "minutely", period=60, overrides={"misfire_policy": "skip", "misfire_grace": 1})
    pause_timer("work", "minutely", until=START + timedelta(minutes=2, seconds=30))
    pause_group("work", until=START + timedelta(minutes=3, seconds=30))

    timers_node.advance(minutes=5)

    assert fire_times(handlers, "minutely") == [START + timedelta(minutes=at) for at in (4, 5)]
