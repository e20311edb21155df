"""Quotas of a group: how many living timers, how long their payloads, how often they fire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import factories
from tests.support.handlers import TemporaryHandlers
from tests.support.sessions import in_threads
from timers.exceptions import InvalidRequest, QuotaExceeded
from timers.models import Timer, TimerGroup, Waiting
from timers.scheduling import (
    cancel_timer,
    fire_timer,
    schedule_cron,
    schedule_fixed_delay,
    schedule_fixed_rate,
    schedule_many,
    schedule_once,
    update_group,
    update_timer,
)
from timers.testing import Stepper, VirtualTime


@pytest.fixture(autouse=True)
def _(time: VirtualTime, handlers: TemporaryHandlers) -> None:
    """Every test here has virtual time."""


@pytest.fixture
def three(time: VirtualTime) -> TimerGroup:
    """A group that may have three timers."""
    return factories.group("work", max_timers=3)


def once(name: str, **more: Any) -> Timer:
    return schedule_once("work", name, after=60, **more)


def request(name: str) -> dict[str, Any]:
    return {"kind": "once", "group": "work", "name": name, "after": 60}


def test_one_timer_more_than_the_group_may_have_is_refused(three: TimerGroup) -> None:
    for name in "abc":
        once(name)
    with pytest.raises(QuotaExceeded, match="max_timers: of group work is 3 living timers, and there are 3"):
        once("d")
    assert Timer.objects.count() == 3


def test_a_call_that_would_exceed_it_writes_nothing(three: TimerGroup) -> None:
    once("a")
    with pytest.raises(QuotaExceeded, match="there are 1"):
        schedule_many([request(name) for name in "bcd"])
    assert [timer.name for timer in Timer.objects.all()] == ["a"]
    schedule_many([request(name) for name in "bc"])


def test_what_has_ended_makes_room(three: TimerGroup, node: Stepper) -> None:
    for name in "abc":
        once(name)
    cancel_timer("work", "a")
    once("d")
    with pytest.raises(QuotaExceeded):
        once("e")
    node.advance(60)
    for name in "efg":
        once(name)
    with pytest.raises(QuotaExceeded):
        once("h")


def test_to_replace_or_keep_a_timer_needs_no_room(three: TimerGroup) -> None:
    for name in "abc":
        once(name)
    for on_conflict in ("replace", "keep"):
        schedule_many([request(name) for name in "abc"], on_conflict=on_conflict)
    assert Timer.objects.count() == 3


def test_a_finished_timer_that_is_scheduled_again_needs_room(three: TimerGroup, node: Stepper) -> None:
    once("a")
    node.advance(60)
    for name in "bcd":
        once(name)
    with pytest.raises(QuotaExceeded):
        update_timer("work", "a", after=5)
    cancel_timer("work", "b")
    update_timer("work", "a", after=5)
    with pytest.raises(QuotaExceeded):
        once("e")


def test_a_limit_that_is_set_later_holds_for_what_comes(group: TimerGroup) -> None:
    for name in "abc":
        once(name)
    update_group("work", max_timers=2)
    with pytest.raises(QuotaExceeded, match="there are 3; cancel some"):
        once("d")
    update_timer("work", "a", after=5)
    update_group("work", max_timers=4)
    once("d")
    update_group("work", max_timers=None)
    once("e")


def test_the_living_timers_are_counted_only_when_the_known_room_is_used_up(time: VirtualTime) -> None:
    factories.group("work", max_timers=10)
    counts = []
    for number in range(10):
        with CaptureQueriesContext(connection) as queries:
            once(f"{number}")
        counts.append(sum("COUNT(" in query["sql"] for query in queries))
    assert counts == [1, *[0] * 9]


def test_a_group_without_limits_costs_no_statement_more(group: TimerGroup) -> None:
    with CaptureQueriesContext(connection) as queries:
        once("a")
    assert not any("FOR NO KEY UPDATE" in query["sql"] or "COUNT(" in query["sql"] for query in queries)


class TestPayloads:
    def test_one_byte_more_than_the_group_allows_is_refused(self, group: TimerGroup) -> None:
        update_group("work", max_payload_bytes=10)
        once("a", payload="x" * 8)
        with pytest.raises(QuotaExceeded, match="payload: is 11 bytes long; 10 is the most"):
            once("b", payload="x" * 9)
        with pytest.raises(QuotaExceeded):
            once("b", payload="ü" * 5)
        with pytest.raises(QuotaExceeded):
            update_timer("work", "a", payload="x" * 9)

    def test_a_run_with_another_payload_follows_it_too(self, group: TimerGroup) -> None:
        update_group("work", max_payload_bytes=10)
        once("a")
        with pytest.raises(QuotaExceeded):
            fire_timer("work", "a", payload="x" * 9)
        assert not Waiting.objects.exists()

    def test_a_timer_whose_payload_was_allowed_once_can_still_be_edited(self, group: TimerGroup) -> None:
        once("a", payload="x" * 100)
        update_group("work", max_payload_bytes=10)
        assert update_timer("work", "a", priority=5).priority == 5


class TestIntervals:
    @pytest.fixture(autouse=True)
    def _(self, group: TimerGroup) -> None:
        update_group("work", min_interval=10)

    @pytest.mark.parametrize(
        "schedule",
        [
            lambda: schedule_fixed_rate("work", "m", period=9.999),
            lambda: schedule_fixed_delay("work", "m", delay=9),
            lambda: schedule_cron("work", "m", expression="*/9 * * * * *"),
            lambda: schedule_cron("work", "m", expression="0,5 0 6 * * *"),
            lambda: schedule_cron("work", "m", expression="0,55 59,0 * * * *"),
        ],
    )
    def test_what_fires_more_often_is_refused(self, schedule: Callable[[], Timer]) -> None:
        with pytest.raises(QuotaExceeded, match="10 s is the least"):
            schedule()
        assert not Timer.objects.exists()

    def test_what_fires_as_often_is_allowed(self) -> None:
        schedule_fixed_rate("work", "rate", period=10)
        schedule_cron("work", "cron", expression="*/10 * * * * *")
        once("once")

    def test_an_edit_follows_it_too(self) -> None:
        schedule_fixed_rate("work", "rate", period=10)
        with pytest.raises(QuotaExceeded):
            update_timer("work", "rate", period=5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_timers": 0},
        {"max_timers": 1.5},
        {"max_timers": True},
        {"max_payload_bytes": 0},
        {"max_payload_bytes": 65_537},
        {"min_interval": -1},
        {"min_interval": float("nan")},
        {"min_interval": "10"},
        {"spare_timers": 5},
    ],
)
def test_a_quota_that_makes_no_sense_is_refused(group: TimerGroup, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        update_group("work", **wrong)
    assert caught.value.field in wrong


class TestInParallel:
    @pytest.fixture(autouse=True)
    def _(self, transactional_db: None) -> None:
        """Rows are committed, so that other sessions see them."""

    def test_fifty_at_once_never_exceed_it_by_even_one(self, time: VirtualTime, handlers: TemporaryHandlers) -> None:
        factories.group("work", max_timers=120)

        def create(index: int) -> int:
            made = 0
            for number in range(4):
                try:
                    once(f"{index}-{number}")
                    made += 1
                except QuotaExceeded:
                    pass
            return made

        made = in_threads(50, create)
        assert [each for each in made if isinstance(each, Exception)] == []
        assert Timer.objects.count() == 120
