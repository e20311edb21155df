from __future__ import annotations

from datetime import timedelta

import pytest
from django.test.utils import CaptureQueriesContext

from tests import factories
from timers import clock
from timers.exceptions import InvalidRequest
from timers.insights.preview import preview_of
from timers.models import ExclusionCalendar, Timer, TimerGroup
from timers.testing import START

pytestmark = pytest.mark.django_db


def a_timer(group: TimerGroup, **fields: object) -> Timer:
    """A timer that is not stored."""
    columns = {"schedule_kind": "cron", "schedule": {"expression": "0 9 * * *"}, "name": "it", "time_zone": "UTC"}
    return Timer(**{**columns, "group": group, **fields})


def test_a_timer_that_is_not_stored_is_previewed_by_its_groups_policies() -> None:
    now = clock.now()
    ExclusionCalendar.objects.create(name="free", rules=[{"weekdays": ["tue"]}], created_at=now, updated_at=now)
    group = factories.group(exclusion_calendars=["free"])
    of_group = preview_of(a_timer(group), 2, after=START)
    assert [(at.wall[:14], at.runs) for at in of_group.instants] == [
        ("Tue 2027-03-02", False), ("Wed 2027-03-03", True), ("Thu 2027-03-04", True),
    ]  # fmt: skip
    own = preview_of(a_timer(group, overrides={"exclusion_calendars": []}, max_fires=1), 2, after=START)
    assert [at.wall[:14] for at in own.instants] == ["Tue 2027-03-02"]


def test_what_cannot_be_read_is_refused() -> None:
    group = factories.group()
    with pytest.raises(InvalidRequest, match="expression"):
        preview_of(a_timer(group, schedule={"expression": "nonsense"}), after=START)
    with pytest.raises(InvalidRequest, match="does not exist"):
        preview_of(a_timer(group, overrides={"exclusion_calendars": ["gone"]}), after=START)


def test_a_timer_whose_runs_take_longer_than_its_period_is_warned_of() -> None:
    timer = factories.timer(schedule={"period": 0.02, "anchor": "2027-01-01T00:00:00Z"})
    assert [warning.code for warning in preview_of(timer, after=START).warnings] == []
    for ago in range(60, 70):
        factories.attempt(timer, ago=ago)  # each ran for 36 ms
    assert [warning.code for warning in preview_of(timer, after=START).warnings] == ["faster_than_handler"]


def test_a_second_in_which_very_many_are_due_is_warned_of() -> None:
    group = factories.group(shards=2)
    at = START + timedelta(hours=1)
    rate = {"schedule_kind": "fixed_rate", "schedule": {"period": 3600, "anchor": "2027-03-01T13:00:00Z"}}
    Timer.objects.bulk_create(
        Timer(
            group=group, name=f"{number}", shard=number % 2, next_fire_at=at + timedelta(milliseconds=number),
            created_at=at, updated_at=at, **rate,
        )
        for number in range(101)
    )  # fmt: skip
    timer = Timer.objects.get(name="0")
    (warning,) = preview_of(timer, after=START).warnings
    assert warning.text.startswith("100 other timers are due in the second of the first fire")
    Timer.objects.filter(name="1").update(state="paused")
    assert preview_of(timer, after=START).warnings == ()


def test_a_preview_asks_a_fixed_number_of_questions(django_assert_num_queries: type[CaptureQueriesContext]) -> None:
    timer = factories.timer()
    with django_assert_num_queries(2):  # type: ignore[operator]
        preview_of(timer, 50, after=START)
