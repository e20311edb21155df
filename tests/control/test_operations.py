"""Asking for bulk operations: what they mean, what is refused, who may touch what."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests import factories
from timers import clock
from timers.control.operations import (
    cancel_operation,
    pause_operation,
    resume_operation,
    set_pace,
    start_operation,
)
from timers.engine.operations import carry_out
from timers.exceptions import InvalidRequest, NotAllowedNow, TimerNotFound
from timers.insights import operations
from timers.models import BulkOperation, Timer, TimerGroup, Waiting
from timers.testing import VirtualTime

ALL = {"all": True}


@pytest.fixture
def bills(group: TimerGroup) -> Timer:
    return factories.timer("bills", in_group=group)


@pytest.fixture
def other(time: VirtualTime) -> Timer:
    return factories.timer("letters", in_group=factories.group("post"))


def mean(conditions: dict[str, Any], **options: Any) -> set[str]:
    """The error titles of what such an operation dismisses."""
    before = set(Waiting.objects.values_list("error_title", flat=True))
    operation = start_operation("dismiss", conditions, **options)
    while carry_out() == 0.0:
        pass
    operation.refresh_from_db()
    gone = before - set(Waiting.objects.values_list("error_title", flat=True))
    assert (operation.state, operation.total, operation.done) == ("done", len(gone), len(gone))
    return gone


@pytest.mark.parametrize(
    ("conditions", "meant"),
    [
        (ALL, "abcd"),
        ({"group": "work"}, "ab"),
        ({"group": "post", "timer": "bills"}, ""),
        ({"timer": "letters"}, "cd"),
        ({"fingerprint": "f" * 32}, "bc"),
        ({"fingerprint": ""}, "ad"),
        ({"fingerprint": "f" * 32, "group": "work"}, "b"),
        ({"error_contains": "d"}, "d"),
        ({"error_contains": "not YET"}, "a"),
        ({"failed_before": "2027-03-01T11:00:00Z"}, "cd"),
        ({"failed_after": "2027-03-01T11:00:00Z", "group": None}, "ab"),
        ({"failed_after": "2027-03-01T09:00:00Z", "failed_before": "2027-03-01T11:30:00+00:00"}, "bc"),
    ],
)
def test_conditions_all_hold(
    bills: Timer, other: Timer, time: VirtualTime, conditions: dict[str, Any], meant: str
) -> None:
    factories.waiting(bills, ago=1, error_title="a", reason="Not yet")
    for title, timer, hours, fingerprint in (("b", bills, 1, "f"), ("c", other, 2, "f"), ("d", other, 4, None)):
        factories.waiting(
            timer, ago=hours * 100, error_title=title, error_fingerprint=fingerprint and fingerprint * 32,
            changed_at=time.now - timedelta(hours=hours),
        )  # fmt: skip
    factories.waiting(bills, "ready", ago=2, error_title="ready")
    assert mean(conditions) == set(meant)


def test_nothing_that_meets_it_is_done_at_once(bills: Timer) -> None:
    operation = start_operation("retry", {"timer": "nobody"}, actor="ada")
    assert (operation.state, operation.total, operation.created_by) == ("done", 0, "ada")
    assert operation.ended_at is not None


@pytest.mark.parametrize(
    ("conditions", "told"),
    [
        ({}, 'filter: has no condition: give group, timer, fingerprint, error_contains, failed_before, failed_after, '
             'or {"all": true} for every one'),
        ({"group": None}, "filter: has no condition"),
        ("all", "filter: must be an object of conditions (given: 'all')"),
        ({"all": "yes"}, "filter.all: must be true (given: 'yes')"),
        ({"all": True, "group": "work"}, "filter.all: means every failed execution; leave it out, or the conditions"),
        ({"grup": "work"}, "filter.grup: is no condition; did you mean group?"),
        ({"group": "wrok"}, "filter.group: there is no group 'wrok'; did you mean 'work'?"),
        ({"group": 7}, "filter.group: must be printable text of 1 to 200 characters (given: 7)"),
        ({"timer": ""}, "filter.timer: must be printable text"),
        ({"error_contains": "\x00"}, "filter.error_contains: must be printable text of 1 to 500 characters"),
        ({"fingerprint": "'; --"}, "filter.fingerprint: must be a fingerprint as the list of failures shows it"),
        ({"failed_before": "yesterday"}, "filter.failed_before"),
        ({"failed_before": "2027-01-01T00:00:00Z", "failed_after": "2027-01-01T00:00:00Z"},
         "filter.failed_before: must be after failed_after (given: '2027-01-01T00:00:00+00:00')"),
    ],
)  # fmt: skip
def test_a_filter_that_makes_no_sense_is_refused(group: TimerGroup, conditions: Any, told: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        start_operation("retry", conditions)
    assert told in str(refused.value)
    assert not BulkOperation.objects.exists()


def test_all_mistakes_are_told_at_once(group: TimerGroup) -> None:
    with pytest.raises(InvalidRequest) as refused:
        start_operation("redo", {"group": "nowhere", "fingerprint": 7}, pace=0, reason=7)  # type: ignore[arg-type]
    assert [problem.field for problem in refused.value.problems] == [
        "verb", "reason", "pace", "filter.group", "filter.fingerprint",
    ]  # fmt: skip


@pytest.mark.parametrize("pace", [0, -1, 10_001, True, "fast", float("nan")])
def test_a_pace_must_make_sense(bills: Timer, pace: Any) -> None:
    factories.waiting(bills)
    with pytest.raises(InvalidRequest, match=r"pace: must be from 0\.001 to 10,000"):
        start_operation("retry", ALL, pace=pace)
    with pytest.raises(InvalidRequest, match="pace"):
        set_pace(start_operation("retry", ALL).id, pace)


def test_who_may_touch_some_groups_means_those_alone(bills: Timer, other: Timer) -> None:
    factories.waiting(bills, error_title="mine")
    factories.waiting(other, error_title="not mine")
    assert mean(ALL, groups={"work"}) == {"mine"}
    with pytest.raises(InvalidRequest, match=r"there is no group 'post'$"):
        start_operation("dismiss", {"group": "post"}, groups={"work"})
    assert start_operation("dismiss", ALL, groups=set()).total == 0
    assert Waiting.objects.count() == 1


def test_an_operation_is_seen_by_those_who_may_touch_all_its_groups(bills: Timer, other: Timer) -> None:
    factories.waiting(bills)
    factories.waiting(other, ago=30)
    all_groups = start_operation("retry", ALL)
    both = start_operation("retry", ALL, groups={"work", "post"})
    one = start_operation("retry", {"group": "work"})

    def seen(groups: set[str] | None) -> list[int]:
        return [row.id for row in operations.find(groups=groups).operations]

    assert seen(None) == [one.id, both.id, all_groups.id]
    assert seen({"work", "post"}) == [one.id, both.id]
    assert seen({"work"}) == [one.id]
    assert operations.one(both.id, {"work"}) is None
    assert operations.one(both.id) == both
    first = operations.find(limit=2)
    assert first.next == both.id
    assert operations.find(before_id=first.next).operations == [all_groups]
    assert operations.find(state="done").operations == []
    with pytest.raises(TimerNotFound, match="there is no operation"):
        cancel_operation(all_groups.id, groups={"work"})
    assert cancel_operation(one.id, groups={"work"}).state == "cancelled"


def test_what_has_ended_is_not_changed_any_more(bills: Timer) -> None:
    factories.waiting(bills)
    operation = start_operation("dismiss", ALL)
    pause_operation(operation.id, actor="ada", reason="lunch")
    operation.refresh_from_db()
    assert (operation.state, operation.state_reason, operation.ended_at) == ("paused", "paused by ada: lunch", None)
    cancel_operation(operation.id)
    operation.refresh_from_db()
    assert (operation.state, operation.ended_at) == ("cancelled", clock.now())
    for change in (cancel_operation, pause_operation, resume_operation):
        with pytest.raises(NotAllowedNow, match="is cancelled already"):
            change(operation.id)
    with pytest.raises(NotAllowedNow):
        set_pace(operation.id, 5)
    with pytest.raises(TimerNotFound):
        cancel_operation(0)


def test_an_operation_whose_group_is_deleted_ends(bills: Timer, group: TimerGroup) -> None:
    factories.waiting(bills)
    operation = start_operation("retry", {"group": "work"})
    Waiting.objects.all().delete()
    Timer.objects.all().delete()
    group.delete()
    carry_out()
    operation.refresh_from_db()
    assert (operation.state, operation.total, operation.done) == ("done", 1, 0)
