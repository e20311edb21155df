"""The public Python API: what is accepted, and that what makes no sense is refused and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from tests import factories
from tests.support.handlers import TemporaryHandlers
from timers.exceptions import InvalidRequest, TimerNotFound
from timers.models import Attempt, Timer, Waiting
from timers.scheduling import (
    get_timer,
    get_timers,
    preview_timer,
    schedule_cron,
    schedule_fixed_delay,
    schedule_fixed_rate,
    schedule_many,
    schedule_once,
    schedule_timer,
    schedule_window,
    update_timer,
)
from timers.testing import START, Stepper, VirtualTime


@pytest.fixture(autouse=True)
def _(db: None) -> Iterator[None]:
    """A group whose handler is known, at a virtual noon."""
    VirtualTime()
    handlers = TemporaryHandlers()
    handlers.add("tests.noop")
    factories.group("work")
    yield
    handlers.forget()


def rate(**options: Any) -> Timer:
    values: dict[str, Any] = {"group": "work", "name": "timer", "period": 60}
    return schedule_fixed_rate(**(values | options))


def cron(expression: Any) -> Timer:
    return schedule_cron("work", "timer", expression=expression)


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


BAD: dict[str, tuple[Callable[[], Any], str, str, str]] = {
    "a naive start": (lambda: rate(start_at=datetime(2027, 1, 1)), "start_at", "2027-01-01", "has no time zone"),
    "a naive end": (lambda: rate(end_at="2027-01-01T00:00:00"), "end_at", "2027-01-01T00:00:00", "add an offset"),
    "a naive instant": (
        lambda: schedule_once("work", "timer", at=datetime(2027, 1, 1)), "at", "2027-01-01T00:00:00", "no time zone",
    ),
    "a period of 0": (lambda: rate(period=0), "period", "(given: 0)", "between 1 ms and"),
    "a negative period": (lambda: rate(period=-5), "period", "-5", "between 1 ms and"),
    "a period that is none": (lambda: rate(period="often"), "period", "'often'", "ISO 8601 duration such as PT1M30S"),
    "a period of truth": (lambda: rate(period=True), "period", "True", "number of seconds"),
    "a period without end": (lambda: rate(period=float("inf")), "period", "inf", "finite"),
    "no period": (lambda: rate(period=None), "period", "", "is missing: a fixed_rate schedule needs it"),
    "a delay of 0": (lambda: schedule_fixed_delay("work", "timer", delay=0), "delay", "(given: 0)", "between 1 ms"),
    "a negative wait": (lambda: schedule_once("work", "timer", after=-1), "after", "-1", "or 0"),
    "an unknown zone": (lambda: rate(time_zone="Europe/Berlim"), "time_zone", "Europe/Berlim", "mean Europe/Berlin"),
    "a zone that is none": (lambda: rate(time_zone=3), "time_zone", "3", "name of a time zone"),
    "a cron that never fires": (
        lambda: cron("0 0 30 2 *"), "expression", "'0 0 30 2 *'", "never",
    ),
    "a cron that is none": (lambda: cron("a b c d e"), "expression", "'a b c d e'", ""),
    "a cron of 4 fields": (lambda: cron("0 0 1 1"), "expression", "'0 0 1 1'", "5"),
    "a payload that is no JSON": (lambda: rate(payload={"a": object()}), "payload", "payload.a is a", "not JSON"),
    "a set for a payload": (lambda: rate(payload={1, 2}), "payload", "is a set", "text, number, true, false, null"),
    "bytes in a payload": (lambda: rate(payload=[b"x"]), "payload", "payload[0] is a bytes", "not JSON"),
    "a key that is no text": (lambda: rate(payload={1: 2}), "payload", "the key 1", "JSON keys are text"),
    "a payload over 64 KB": (lambda: rate(payload="x" * 65_535), "payload", "65,537", "at most 65,536 bytes"),
    "a payload with NUL": (lambda: rate(payload={"a": ["\x00"]}), "payload", "payload.a[0]", "NUL"),
    "a key with NUL": (lambda: rate(payload={"\x00": 1}), "payload", "NUL", "PostgreSQL cannot store"),
    "a payload with NaN": (lambda: rate(payload={"a": float("nan")}), "payload", "payload.a is nan", "cannot hold"),
    "a payload with infinity": (lambda: rate(payload=[-float("inf")]), "payload", "payload[0] is -inf", "use null"),
    "half a surrogate pair": (lambda: rate(payload="\ud800"), "payload", "half of a surrogate pair", "no character"),
    "a payload too deep": (lambda: rate(payload=deep(33)), "payload", "nested", "more than 32 levels"),
    "a number too long": (lambda: rate(payload=10**1000), "payload", "1,000 digits", "send it as text"),
    "a name over its length": (lambda: rate(name="x" * 201), "name", "201", "1 to 200 characters"),
    "no name": (lambda: rate(name=""), "name", "this has 0", "1 to 200 characters"),
    "a name that is no text": (lambda: rate(name=7), "name", "(given: 7)", "must be text"),
    "a name with a NUL": (lambda: rate(name="a\x00b"), "name", "a\\x00b", "control characters"),
    "a name with a surrogate": (lambda: rate(name="a\ud800b"), "name", "\\ud800", "control characters"),
    "a name with a space at its end": (lambda: rate(name="a "), "name", "'a '", "end with a space"),
    "an unknown handler": (lambda: rate(handler="tests.nop"), "handler", "'tests.nop'", "did you mean tests.noop?"),
    "a handler that is no text": (lambda: rate(handler=5), "handler", "(given: 5)", "name of a handler"),
    "an unknown action": (lambda: rate(action={"kind": "fax"}), "action.kind", "'fax'", "must be one of python"),
    "an unknown group": (lambda: rate(group="wrok"), "group", "'wrok'", "did you mean work?"),
    "no group": (lambda: rate(group=None), "group", "", "must be text"),
    "the year 10000": (
        lambda: schedule_once("work", "timer", at="10000-01-01T00:00:00Z"), "at", "10000-01-01", "years 1970 to 8999",
    ),
    "the last instant east of Greenwich": (
        lambda: schedule_once("work", "timer", at=datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))),
        "at", "9999-12-31", "years 1970 to 8999",
    ),
    "a wait beyond the year 9999": (lambda: schedule_once("work", "timer", after=10**12), "after", "1000000000000", ""),
    "the year 1969": (lambda: rate(start_at="1969-12-31T23:59:59Z"), "start_at", "1969", "years 1970 to 8999"),
    "an end before the start": (
        lambda: rate(start_at=START + timedelta(days=2), end_at=START + timedelta(days=1)),
        "end_at", "2027-03-02", "must not be before start_at",
    ),
    "an end before the first fire": (
        lambda: rate(end_at=START + timedelta(seconds=30)), "end_at", "2027-03-01T12:00:30", "before the first fire",
    ),
    "no fires at all": (lambda: rate(max_fires=0), "max_fires", "(given: 0)", "from 1 to 2,147,483,647"),
    "too many fires": (lambda: rate(max_fires=2**31), "max_fires", "2147483648", "from 1 to 2,147,483,647"),
    "half a fire": (lambda: rate(max_fires=1.5), "max_fires", "1.5", "whole number"),
    "a word for a flag": (lambda: rate(until_committed="yes"), "until_committed", "'yes'", "true or false"),
    "tags as text": (lambda: rate(tags="red"), "tags", "'red'", "list"),
    "a tag that is none": (lambda: rate(tags=["ok", ""]), "tags", "this has 0", "1 to 200"),
    "too many tags": (lambda: rate(tags=["t"] * 51), "tags", "t", "at most 50"),
    "overrides that are none": (lambda: rate(overrides=[1]), "overrides", "[1]", "object"),
    "an unknown policy": (lambda: rate(overrides={"retrry": {}}), "overrides.retrry", "", "did you mean retry?"),
    "a policy out of bounds": (
        lambda: rate(overrides={"retry": {"max_retries": 1001}}), "overrides.retry.max_retries", "1001", "0 to 1,000",
    ),
    "an unknown keyword": (lambda: rate(peroid=5), "peroid", "", "is not known for fixed_rate; did you mean period?"),
    "another kind's keyword": (lambda: rate(expression="* * * * *"), "expression", "", "is not known for fixed_rate"),
    "no instant": (lambda: schedule_once("work", "timer"), "at", "", "either at (an instant) or after"),
    "two instants": (lambda: schedule_once("work", "timer", at=START, after=1), "at", "", "either at"),
    "an unknown conflict": (lambda: rate(on_conflict="merge"), "on_conflict", "'merge'", "reject, replace, keep"),
    "a description with NUL": (lambda: rate(description="a\x00"), "description", "", "without NUL"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused_by_field_with_what_was_given_and_what_is_allowed(what: str) -> None:
    call, field, given, allowed = BAD[what]
    with pytest.raises(InvalidRequest) as refused:
        call()
    assert refused.value.field == field
    assert given in str(refused.value)
    assert allowed in str(refused.value)
    assert not Timer.objects.exists()
    assert not Waiting.objects.exists()


def test_a_taken_name_is_refused_and_the_timer_that_has_it_stays_as_it_is() -> None:
    rate()
    with pytest.raises(InvalidRequest, match=r"name: is taken in group work; use on_conflict=.*\(given: 'timer'\)"):
        rate(period=5)
    assert Timer.objects.get().schedule["period"] == 60


def test_all_mistakes_of_one_call_are_told_at_once() -> None:
    with pytest.raises(InvalidRequest) as refused:
        rate(
            name="", period=0, payload=object(), tags="x", max_fires=0, end_at="never", until_committed=1, colour="red",
            start_at="now", time_zone="Mars", handler="tests.nop", overrides={"attempt_timeout": 0, "colour": 1},
        )  # fmt: skip
    assert {problem.field for problem in refused.value.problems} == {
        "name", "period", "payload", "tags", "max_fires", "end_at", "until_committed", "colour", "start_at",
        "time_zone", "handler", "overrides.attempt_timeout", "overrides.colour",
    }  # fmt: skip


def test_where_the_kind_is_unknown_the_rest_is_checked_all_the_same() -> None:
    with pytest.raises(InvalidRequest) as refused:
        schedule_timer({"kind": 5, "name": 7, "group": "work", "period": -1, "perid": 1, "time_zone": "Mars"})
    found = {problem.field: problem.message for problem in refused.value.problems}
    assert set(found) == {"kind", "name", "perid", "time_zone"}
    assert found["perid"] == "is not known; did you mean period?"


def test_a_change_is_told_all_that_is_wrong_with_it() -> None:
    rate()
    with pytest.raises(InvalidRequest) as refused:
        update_timer("work", "timer", colour="red", period=0, source="x", priority=10, handler="no")
    assert {problem.field for problem in refused.value.problems} == {
        "colour",
        "period",
        "source",
        "priority",
        "handler",
    }
    with pytest.raises(InvalidRequest) as refused:
        update_timer("work", "timer", kind="ones", tags="x")
    assert {problem.field for problem in refused.value.problems} == {"kind", "tags"}


def test_policies_and_timeouts_may_be_iso_durations_and_are_told_in_seconds() -> None:
    rate(
        overrides={"attempt_timeout": "PT2M", "retry": {"min_backoff": "PT5S"}},
        action={"kind": "http", "url": "https://api.example.org/", "timeout": "PT1M"},
    )
    timer = get_timer("work", "timer")
    assert timer.overrides == {"attempt_timeout": 120, "retry": {"min_backoff": 5}}
    assert timer.action["timeout"] == 60


@pytest.mark.parametrize("bad", [None, 5, "text", {"kind": "once"}, [1]])
def test_what_is_no_request_among_many_leaves_nothing_behind(bad: Any) -> None:
    with pytest.raises((InvalidRequest, TypeError, ValueError)):
        schedule_many([{"kind": "once", "group": "work", "name": "good", "after": 1}, bad])
    assert not Timer.objects.exists()


@pytest.mark.parametrize(
    ("period", "seconds"),
    [
        (60, 60),
        (0.25, 0.25),
        ("PT1M30S", 90),
        ("P1D", 86_400),
        (timedelta(minutes=2), 120),
        (0.001, 0.001),
        (Decimal("0.5"), 0.5),
    ],
)
def test_a_duration_may_be_seconds_a_timedelta_or_iso_text(period: Any, seconds: float) -> None:
    timer = rate(period=period)
    assert timer.schedule["period"] == seconds
    assert timer.next_fire_at == START + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "at",
    [
        datetime(2027, 6, 1, 12, tzinfo=UTC),
        "2027-06-01T12:00:00Z",
        "2027-06-01T14:00:00+02:00",
        datetime(2027, 6, 1, 14, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_an_instant_may_be_aware_or_iso_text_with_an_offset(at: Any) -> None:
    assert schedule_once("work", "timer", at=at).next_fire_at == datetime(2027, 6, 1, 12, tzinfo=UTC)


def test_a_one_shot_in_the_past_fires_at_once_rather_than_never() -> None:
    past = START - timedelta(days=3)
    assert schedule_once("work", "timer", at=past).next_fire_at == past


def test_a_new_timer_costs_two_statements(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(2):
        schedule_once("work", "timer", after=86_400)


def test_a_wait_of_nothing_is_now() -> None:
    assert schedule_once("work", "timer", after=0).next_fire_at == START


def test_the_last_second_of_the_year_8999_is_allowed() -> None:
    timer = schedule_once("work", "timer", at="8999-12-31T23:59:59Z")
    assert Timer.objects.get(id=timer.id).next_fire_at == datetime(8999, 12, 31, 23, 59, 59, tzinfo=UTC)


def test_the_biggest_of_everything_is_allowed() -> None:
    timer = rate(
        name="x" * 200, payload="x" * 65_534, tags=["t" * 200] * 50, max_fires=2**31 - 1, period=36_525 * 86_400
    )
    assert Timer.objects.get(id=timer.id).payload == "x" * 65_534
    assert rate(name="deep", payload=deep(32)).payload == deep(32)
    assert rate(name="long", payload=10**1000 - 1).payload == 10**1000 - 1


def test_names_may_be_in_any_script() -> None:
    for name in ("Überweisung 7", "定时器", "таймер", "a/b?c=d&e#f", "'; DROP TABLE timers_timer; --", "🕰️"):
        assert get_timer("work", rate(name=name).name).name == name
    assert Timer.objects.count() == 6


def test_timers_are_listed_by_name_and_filtered() -> None:
    for name in ("c", "a", "b1", "b2"):
        rate(name=name)
    factories.group("other")
    rate(group="other", name="b")
    assert [timer.name for timer in get_timers("work")] == ["a", "b1", "b2", "c"]
    assert [timer.name for timer in get_timers("work", name_contains="b")] == ["b1", "b2"]
    assert [timer.name for timer in get_timers("work", limit=1)] == ["a"]
    assert get_timers("work", state="paused") == []
    assert get_timers("ghost") == []


def test_a_timer_that_does_not_exist_is_not_found() -> None:
    with pytest.raises(TimerNotFound):
        get_timer("work", "ghost")
    with pytest.raises(LookupError):
        get_timer("ghost", "timer")


def test_a_handler_that_only_another_living_node_knows_is_accepted() -> None:
    factories.node(handlers=["far.away"])
    assert rate(handler="far.away").action == {"kind": "python", "handler": "far.away"}


def test_a_timer_without_a_handler_needs_a_group_that_has_one() -> None:
    factories.group("bare", action=None)
    with pytest.raises(InvalidRequest, match="action: is missing, and group bare has none"):
        rate(group="bare")
    assert rate(group="bare", handler="tests.noop").id


def test_a_preview_is_what_will_fire() -> None:
    keywords: dict[str, Any] = {"expression": "*/20 * * * *", "time_zone": "Asia/Kathmandu", "jitter": 300}
    planned = preview_timer("work", "planned", 5, kind="cron", **keywords)
    assert not Timer.objects.exists()
    timer = schedule_cron("work", "planned", **keywords)
    assert preview_timer("work", "planned", 5).fires == planned.fires
    node = Stepper(VirtualTime())
    node.advance(hours=2)
    fired = Attempt.objects.filter(timer_id=timer.id).order_by("id").values_list("scheduled_for", flat=True)
    assert list(fired[:5]) == planned.fires


def test_a_preview_of_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        preview_timer("work", "planned", kind="cron", expression="61 * * * *")
    assert caught.value.field == "expression"
    with pytest.raises(TimerNotFound):
        preview_timer("work", "nothing")
    for n in (0, -1, 1001, 1.5, True, "5", None):
        with pytest.raises(InvalidRequest) as caught:
            preview_timer("work", "planned", n, kind="cron", expression="61 * * * *")  # type: ignore[arg-type]
        assert [problem.field for problem in caught.value.problems] == ["n", "expression"]


def test_a_start_after_the_last_fire_is_told_as_the_mistake_that_it_is() -> None:
    late: dict[str, Any] = {"start_at": "8999-12-31T23:59:59Z"}
    window: dict[str, Any] = {"begin": "13:00", "end": "15:00", "every": 60}
    for schedule in (
        lambda: schedule_cron("work", "timer", expression="30 2 * * *", **late),
        lambda: schedule_cron("work", "timer", expression="0 0 0 1 1 ? 2040", start_at="2041-01-01T00:00:00Z"),
        lambda: schedule_window("work", "timer", **window, **late),
    ):
        with pytest.raises(InvalidRequest, match="start_at: is after the last fire of the schedule"):
            schedule()
    with pytest.raises(InvalidRequest, match="schedule: never fires from now on"):
        schedule_cron("work", "timer", expression="0 0 0 1 1 ? 2020", start_at="2041-01-01T00:00:00Z")


def test_the_length_of_a_text_that_is_shortened_is_its_own() -> None:
    with pytest.raises(InvalidRequest, match=r"x\.\.\. \(201 characters\)"):
        rate(name="x" * 201)


@pytest.mark.parametrize(("wrong", "meant"), [("dayOfMonth", "day_of_month"), ("timezone", "time_zone")])
def test_a_keyword_that_is_nearly_one_is_told_which_was_meant(wrong: str, meant: str) -> None:
    with pytest.raises(InvalidRequest, match=f"did you mean {meant}"):
        schedule_many([{"kind": "calendar", "group": "work", "name": "it", wrong: "1"}])
