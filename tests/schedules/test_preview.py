from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timers.schedules import Preview, Schedule, parse, preview
from timers.schedules.excluding import Excluding
from timers.schedules.exclusions import ExclusionCalendar
from timers.schedules.zones import zone

WEEKEND = ExclusionCalendar.parse("weekend", [{"weekdays": ["sat", "sun"]}])


def shown(
    kind: str, spec: dict[str, Any], after: str, n: int = 5, time_zone: str = "Europe/Berlin", **asked: Any
) -> Preview:
    moment = datetime.fromisoformat(after).replace(tzinfo=UTC)
    return preview(parse(kind, spec, time_zone), n, after=moment, zone=zone(time_zone), **asked)  # fmt: skip


def cron(expression: str, after: str, n: int = 5, time_zone: str = "Europe/Berlin", **asked: Any) -> Preview:
    return shown("cron", {"expression": expression}, after, n, time_zone, **asked)


def lines(of: Preview) -> list[tuple[str, str]]:
    return [(instant.wall, instant.note) for instant in of.instants]


def codes(of: Preview) -> list[str]:
    return [warning.code for warning in of.warnings]


def text(of: Preview, code: str) -> str:
    (found,) = [warning.text for warning in of.warnings if warning.code == code]
    return found


def test_the_end_of_a_gap_says_for_which_time_it_stands() -> None:
    assert lines(cron("30 2 * * *", "2027-03-27T12:00", 2)) == [
        ("Sun 2027-03-28 03:00:00 +02:00", "the end of the gap, for 02:30:00, which is skipped"),
        ("Mon 2027-03-29 02:30:00 +02:00", ""),
    ]


def test_the_second_pass_through_an_hour_is_told() -> None:
    assert lines(cron("*/30 * * * *", "2026-10-25T00:15", 2)) == [
        ("Sun 2026-10-25 02:30:00 +02:00", ""),
        ("Sun 2026-10-25 02:00:00 +01:00", "the second time that the clock shows it"),
    ]


def test_what_is_excluded_stands_between_the_fires_with_its_reason() -> None:
    assert lines(cron("0 9 * * *", "2026-11-20T12:00", 1, exclusions=[WEEKEND])) == [
        ("Sat 2026-11-21 09:00:00 +01:00", "skipped: excluded by weekend: Saturday"),
        ("Sun 2026-11-22 09:00:00 +01:00", "skipped: excluded by weekend: Sunday"),
        ("Mon 2026-11-23 09:00:00 +01:00", ""),
    ]


def test_much_that_is_excluded_is_one_line() -> None:
    (skipped, fire) = lines(cron("* * * * *", "2026-11-20T23:00", 1, exclusions=[WEEKEND]))
    assert skipped == (
        "Sat 2026-11-21 00:01:00 +01:00",
        "skipped: excluded by weekend: Saturday; so are 2,878 more until Sun 2026-11-22 23:59:00 +01:00",
    )
    assert fire == ("Mon 2026-11-23 00:00:00 +01:00", "")


def test_what_moves_says_from_where_and_to_where() -> None:
    it = cron("0 9 21 * *", "2026-11-18", 1, exclusions=[WEEKEND], on_excluded="after")
    assert lines(it) == [
        (
            "Sat 2026-11-21 09:00:00 +01:00",
            "skipped: excluded by weekend: Saturday; moved to 2026-11-23T09:00:00+01:00",
        ),
        ("Mon 2026-11-23 09:00:00 +01:00", "moved from Sat 2026-11-21 09:00:00 +01:00"),
    ]  # fmt: skip
    assert (
        it.words == "at 09:00 on the 21st day of every month, Europe/Berlin; not when weekend excludes it, but after it"
    )


def test_start_end_and_the_fires_that_are_left_bound_it() -> None:
    start, end = datetime(2026, 12, 1, tzinfo=UTC), datetime(2026, 12, 3, 8, tzinfo=UTC)
    assert [fire.day for fire in cron("0 9 * * *", "2026-11-18", start_at=start, end_at=end).fires] == [1, 2, 3]
    assert [fire.day for fire in cron("0 9 * * *", "2026-11-18", max_fires=2).fires] == [18, 19]
    assert cron("0 9 * * *", "2026-11-18", max_fires=0).instants == ()


def test_only_the_first_instant_of_a_delay_is_known() -> None:
    it = shown("fixed_delay", {"delay": 5}, "2026-11-20T12:00:00")
    assert it.fires == [datetime(2026, 11, 20, 12, 0, 5, tzinfo=UTC)]
    assert it.warnings == ()


def test_the_share_of_the_jitter_is_told_and_the_instants_stay_nominal() -> None:
    it = cron("0 9 * * *", "2026-11-18", 1, "UTC", jitter_offset=timedelta(seconds=2.5))
    assert it.words == "at 09:00 every day, UTC, 2.5 s later by its share of the jitter"
    assert it.fires == [datetime(2026, 11, 18, 9, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("expression", "time_zone", "expected"),
    [
        ("0 9 * * *", "Europe/Berlin", []),
        ("30 2 * * *", "Europe/Berlin", ["gap", "fold"]),
        ("30 2 * * *", "UTC", []),
        ("30 2 1 * mon", "UTC", ["or_rule"]),
        ("*/7 * * * *", "UTC", ["uneven_step"]),
        ("0 */5 * * *", "UTC", ["uneven_step"]),
        ("*/15 */6 * * *", "UTC", []),
        ("5-25/10 * * * *", "UTC", []),
        ("0 9 31 * *", "UTC", ["day_29_31"]),
        ("0 9 28,31 * *", "UTC", []),
        ("0 9 31 1,3,5 *", "UTC", []),
        ("0 9 L * *", "UTC", []),
        ("0 9 29 2 *", "UTC", ["never", "day_29_31"]),
        ("0 0 9 1 1 * 2020", "UTC", ["never"]),
    ],
)
def test_a_schedule_warns_of_what_may_surprise(expression: str, time_zone: str, expected: list[str]) -> None:
    assert codes(cron(expression, "2026-11-20", 3, time_zone)) == expected


def test_warnings_are_sentences_with_their_dates() -> None:
    it = cron("30 2 * * *", "2026-11-20")
    assert (
        text(it, "gap") == "on Sunday 2027-03-28 the clock skips 02:00 to 03:00: 02:30 fires at 03:00 (gap: run_after)"
    )
    assert text(it, "fold") == (
        "on Sunday 2027-10-31 the clock shows 02:00 to 03:00 twice: 02:30 fires the first time only (fold: once)"
    )
    follows = cron("*/30 * * * *", "2026-11-20")
    assert text(follows, "gap").endswith("02:00 and 1 more do not fire (gap: skip)")
    assert text(follows, "fold").endswith("02:00 and 1 more fire both times (fold: twice)")
    assert text(cron("*/7 * * * *", "2026-11-20"), "uneven_step") == (
        "every 7 minutes, but the last step of each hour is 4 (from 56 on)"
    )


def test_what_never_fires_any_more_says_so() -> None:
    assert text(shown("once", {"at": "2026-01-01T00:00:00Z"}, "2026-06-01"), "never") == "never fires any more"
    christmas = ExclusionCalendar.parse("closed", [{"yearly": ["12-25"]}])
    it = cron("0 9 25 12 *", "2026-11-20", exclusions=[christmas])
    assert (it.fires, len(it.instants)) == ([], 1)
    assert text(it, "never") == "all of its next instants are excluded: it does not fire"
    assert text(cron("0 9 29 2 *", "2026-11-20"), "never") == "does not fire before 2028-02-29"


def test_a_handler_that_takes_longer_than_the_distance_of_two_fires_is_told() -> None:
    every_minute = {"period": 60, "anchor": "2026-11-20T00:00:00Z"}
    slow = shown("fixed_rate", every_minute, "2026-11-20", p95_seconds=75.31)
    assert text(slow, "faster_than_handler") == (
        "fires 1 m apart, and 1 of 20 runs takes longer than 1 m 15 s: fires will overlap"
    )
    assert codes(shown("fixed_rate", every_minute, "2026-11-20", p95_seconds=59)) == []


def test_a_crowded_second_is_told() -> None:
    asked = []

    def crowd(instant: datetime) -> int:
        asked.append(instant)
        return 1204

    it = cron("0 9 * * *", "2026-11-20", 3, "UTC", crowd=crowd, jitter_offset=timedelta(seconds=1))
    assert text(it, "crowded") == "1,204 other timers are due in the second of the first fire: spread them by jitter"
    assert asked == [datetime(2026, 11, 20, 9, 0, 1, tzinfo=UTC)]
    assert codes(cron("0 9 * * *", "2026-11-20", 3, "UTC", crowd=lambda instant: 99)) == []


def test_recurrence_rules_are_warned_of_too() -> None:
    spec = {"rule": "FREQ=MONTHLY;BYMONTHDAY=31", "start": "2026-11-20T12:30:00"}
    assert codes(shown("rrule", spec, "2026-11-20")) == ["day_29_31"]
    weekly = {"rule": "FREQ=WEEKLY;BYDAY=SU", "start": "2026-11-20T02:30:00"}
    assert codes(shown("rrule", weekly, "2026-11-20")) == ["gap", "fold"]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([
        ("cron", {"expression": "30 2 * * *"}), ("cron", {"expression": "*/20 * * * *"}),
        ("window", {"begin": "22:00", "end": "02:00", "every": 2400}), ("calendar", {"hour": "2", "minute": "30"}),
        ("fixed_rate", {"period": 25_200, "anchor": "2026-10-24T01:10:00Z"}),
        ("rrule", {"rule": "FREQ=DAILY;INTERVAL=3", "start": "2026-01-01T01:30:00"}),
    ]),
    st.sampled_from(["no", "suppress", "before", "after"]),
    st.integers(0, 400 * 24 * 60),
)  # fmt: skip
def test_what_a_preview_shows_is_what_fires(of: tuple[str, dict[str, Any]], on: str, minutes: int) -> None:
    schedule: Schedule = parse(*of, "Europe/Berlin")
    if on != "no":
        schedule = Excluding(schedule, (WEEKEND,), on, zone("Europe/Berlin"))
    after = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    fires = []
    instant = schedule.next_after(after)
    while len(fires) < 12:
        assert instant is not None
        if schedule.reason(instant) is None:
            fires.append(instant)
        instant = schedule.next_after(instant)
    assert preview(schedule, 12, after=after).fires == fires
