"""A schedule as exclusion calendars let it be: what runs, what is skipped and why, and what moves where."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.schedules.work_counter import MOST_TO_ASK, MOST_TO_COUNT, counted
from timers.exceptions import InvalidRequest
from timers.schedules import parse
from timers.schedules.excluding import Excluding, without_vain_move
from timers.schedules.exclusions import ExclusionCalendar
from timers.schedules.schedule import Missed
from timers.schedules.zones import zone

WEEKEND = [{"weekdays": ["sat", "sun"]}]
NIGHT = [{"cron": "0 22 * * *", "duration": "PT4H"}]
_MICROSECOND = timedelta(microseconds=1)


Rules = list[dict[str, Any]]


def excluding(
    kind: str, spec: dict[str, Any], *rules: Rules, on: str = "suppress", time_zone: str = "Europe/Berlin"
) -> Excluding:
    calendars = tuple(ExclusionCalendar.parse(f"free-{number}", one) for number, one in enumerate(rules, 1))
    return Excluding(parse(kind, spec, time_zone), calendars, on, zone(time_zone))


def cron(expression: str, *rules: Rules, **options: Any) -> Excluding:
    return excluding("cron", {"expression": expression}, *rules, **options)


def lines(schedule: Excluding, after: str, count: int) -> list[str]:
    """The next instants on the timer's wall, those that do not run in brackets."""
    found = []
    moment: datetime | None = datetime.fromisoformat(after).replace(tzinfo=schedule.zone)
    while len(found) < count and moment is not None and (moment := schedule.next_after(moment)) is not None:
        wall = f"{moment.astimezone(schedule.zone):%a %d %H:%M}"
        found.append(wall if schedule.reason(moment) is None else f"({wall})")
    return found


def test_suppressed_instants_stay_instants_with_their_reason() -> None:
    daily = cron("0 9 * * *", WEEKEND)
    assert lines(daily, "2026-11-20", 4) == ["Fri 20 09:00", "(Sat 21 09:00)", "(Sun 22 09:00)", "Mon 23 09:00"]
    assert daily.reason(datetime(2026, 11, 21, 8, tzinfo=UTC)) == "excluded by free-1: Saturday"


def test_an_excluded_day_moves_its_fires_to_the_same_time_of_the_nearest_free_day() -> None:
    fifteenth = "30 9 15 * *"  # in November 2026 a Sunday
    before, after = cron(fifteenth, WEEKEND, on="before"), cron(fifteenth, WEEKEND, on="after")
    assert lines(before, "2026-11-01", 3) == ["Fri 13 09:30", "(Sun 15 09:30)", "Tue 15 09:30"]
    assert lines(after, "2026-11-01", 3) == ["(Sun 15 09:30)", "Mon 16 09:30", "Tue 15 09:30"]
    sunday = datetime(2026, 11, 15, 8, 30, tzinfo=UTC)
    assert before.reason(sunday) == "excluded by free-1: Sunday; moved to 2026-11-13T09:30:00+01:00"
    assert after.reason(sunday) == "excluded by free-1: Sunday; moved to 2026-11-16T09:30:00+01:00"
    assert before.moved_from(datetime(2026, 11, 13, 8, 30, tzinfo=UTC)) == sunday


def test_a_skip_names_no_move_to_an_instant_that_never_ran() -> None:
    fifteenth = "30 9 15 * *"  # in November 2026 a Sunday
    before, after = cron(fifteenth, WEEKEND, on="before"), cron(fifteenth, WEEKEND, on="after")
    friday, sunday, monday = (datetime(2026, 11, day, 8, 30, tzinfo=UTC) for day in (13, 15, 16))
    moved, excluded = before.reason(sunday), "excluded by free-1: Sunday"
    assert moved == "excluded by free-1: Sunday; moved to 2026-11-13T09:30:00+01:00"
    assert without_vain_move(moved, due=sunday, last_fire=friday) == moved
    assert without_vain_move(moved, due=friday) == moved
    passed = f"{excluded}; not moved to 2026-11-13T09:30:00+01:00, which had passed"
    assert without_vain_move(moved, due=sunday) == passed
    assert without_vain_move(moved, due=sunday, last_fire=datetime(2026, 10, 15, 8, 30, tzinfo=UTC)) == passed
    moved_on = after.reason(sunday)
    assert moved_on is not None
    assert without_vain_move(moved_on, due=sunday, end=monday) == moved_on
    beyond = f"{excluded}; not moved to 2026-11-16T09:30:00+01:00, which is after the timer's end"
    assert without_vain_move(moved_on, due=sunday, end=sunday) == beyond
    assert without_vain_move(excluded, due=friday) == excluded


def test_the_day_that_it_moves_to_is_free_of_every_calendar() -> None:
    after = cron("0 9 25 12 *", WEEKEND, [{"yearly": ["12-25", "12-28"]}], on="after")
    assert lines(after, "2026-12-01", 2) == ["(Fri 25 09:00)", "Tue 29 09:00"]


def test_what_moves_onto_an_instant_of_the_schedule_is_one_with_it() -> None:
    assert lines(cron("0 9 * * *", WEEKEND, on="after"), "2026-11-20", 5) == [
        "Fri 20 09:00", "(Sat 21 09:00)", "(Sun 22 09:00)", "Mon 23 09:00", "Tue 24 09:00",
    ]  # fmt: skip


def test_what_is_excluded_by_a_window_moves_to_its_end_or_to_the_day_before() -> None:
    hourly = "30 21-23 * * *"
    assert lines(cron(hourly, NIGHT, on="after"), "2026-11-20T12:00", 5) == [
        "Fri 20 21:30", "(Fri 20 22:30)", "(Fri 20 23:30)", "Sat 21 02:00", "Sat 21 21:30",
    ]  # fmt: skip
    saturday = [{"cron": "0 22 * * 6", "duration": "PT4H"}]
    assert lines(cron("0 23 * * 6", saturday, on="before"), "2026-11-16", 2) == ["Fri 20 23:00", "(Sat 21 23:00)"]


def test_a_window_that_leads_into_an_excluded_day_ends_with_that_day() -> None:
    friday = [{"cron": "0 22 * * 5", "duration": "PT2H"}]
    assert lines(cron("0 23 * * 5", friday, WEEKEND, on="after"), "2026-11-16", 2) == ["(Fri 20 23:00)", "Mon 23 00:00"]


def test_what_finds_no_free_day_within_31_days_is_suppressed_and_says_so() -> None:
    winter = [{"from": "2026-12-01", "to": "2027-01-31"}]
    monthly = cron("0 9 15 * *", winter, on="after")
    assert lines(monthly, "2026-12-01", 3) == ["(Tue 15 09:00)", "(Fri 15 09:00)", "Mon 01 09:00"]
    reason = monthly.reason(datetime(2026, 12, 15, 8, tzinfo=UTC))
    assert reason is not None
    assert reason.endswith("there is no free day within 31 days after it")


def test_a_time_that_the_gap_skips_keeps_its_name_where_it_moves_to() -> None:
    # On Sunday the 28th 02:30 is skipped, and fires at 03:00; the Monday's own 02:30 is the same time of day.
    assert lines(cron("30 2 * * *", WEEKEND, on="after"), "2027-03-27T12:00", 3) == [
        "(Sun 28 03:00)", "Mon 29 02:30", "Tue 30 02:30",
    ]  # fmt: skip
    # The other way round: what moves to 02:30 of that Sunday fires at the end of the gap.
    saturday = [{"dates": ["2027-03-27"]}]
    assert lines(cron("30 2 27 3 *", saturday, on="after"), "2027-03-01", 2) == ["(Sat 27 02:30)", "Sun 28 03:00"]


def test_a_single_instant_moves_too() -> None:
    once = {"at": "2026-11-21T09:00:00+01:00"}
    assert lines(excluding("once", once, WEEKEND, on="before"), "2026-11-01", 9) == ["Fri 20 09:00", "(Sat 21 09:00)"]
    assert lines(excluding("once", once, WEEKEND, on="after"), "2026-11-01", 9) == ["(Sat 21 09:00)", "Mon 23 09:00"]


@pytest.mark.parametrize("on", ["suppress", "before", "after"])
def test_a_delay_waits_for_what_excludes_it_to_end(on: str) -> None:
    delay = excluding("fixed_delay", {"delay": 3600}, WEEKEND, on=on)
    friday, monday = datetime(2026, 11, 20, 12, tzinfo=UTC), datetime(2026, 11, 22, 23, tzinfo=UTC)
    assert delay.next_after(friday) == friday + timedelta(hours=1)
    assert delay.next_after(friday + timedelta(hours=20)) == monday
    assert delay.first(friday + timedelta(days=1)) == monday
    assert delay.reason(friday) is None
    assert delay.reason(friday + timedelta(days=1)) == "excluded by free-1: Saturday"


def test_a_delay_under_calendars_that_leave_nothing_free_says_so_once_in_a_while() -> None:
    week = [{"weekdays": ["mon", "tue", "wed", "thu", "fri"]}]
    delay = excluding("fixed_delay", {"delay": 1}, WEEKEND, week)
    following = delay.next_after(datetime(2026, 11, 20, tzinfo=UTC))
    assert following is not None
    assert following > datetime(2027, 11, 20, tzinfo=UTC)
    assert delay.reason(following) is not None


def test_what_was_missed_and_what_was_left_out_are_counted_apart() -> None:
    daily = cron("0 9 * * *", WEEKEND)
    first = datetime(2026, 11, 20, 8, tzinfo=UTC)
    until = datetime(2026, 11, 29, 8, tzinfo=UTC)
    assert daily.missed(first, until) == Missed(datetime(2026, 11, 27, 8, tzinfo=UTC), 6)
    assert daily.excluded(first, until) == Missed(until, 4)
    saturday = datetime(2026, 11, 21, 8, tzinfo=UTC)
    assert daily.missed(saturday, saturday) is None
    assert daily.excluded(saturday, saturday) == Missed(saturday, 1)
    assert daily.missed(first, first - timedelta(days=9)) == Missed(first, 1)


@pytest.mark.parametrize("on", ["suppress", "before", "after"])
@pytest.mark.parametrize(
    ("kind", "spec"),
    [("cron", {"expression": "* * * * *"}), ("fixed_rate", {"period": 7, "anchor": "2026-01-01T00:00:00Z"}),
     ("cron", {"expression": "* * * * * 6,0"})],
)  # fmt: skip
def test_a_year_of_a_dense_timer_is_counted_at_once(kind: str, spec: dict[str, Any], on: str) -> None:
    it = excluding(kind, spec, [*WEEKEND, {"holidays": "DE"}, *NIGHT], on=on)
    first = it.first(datetime(2026, 1, 1, tzinfo=UTC))
    assert first is not None
    _, missed = counted(lambda: it.missed(first, first + timedelta(days=365)), most=MOST_TO_COUNT)
    _, excluded = counted(lambda: it.excluded(first, first + timedelta(days=365)), most=MOST_TO_COUNT)
    assert excluded is not None
    if on == "suppress":
        total = it.schedule.missed(first, first + timedelta(days=365))
        assert total is not None
        assert (missed.count if missed else 0) + excluded.count == total.count


def test_a_schedule_under_calendars_says_itself() -> None:
    assert cron("0 9 * * *", WEEKEND, NIGHT, on="after").describe() == (
        "at 09:00 every day, Europe/Berlin; not when free-1 or free-2 excludes it, but after it"
    )
    assert cron("0 9 * * *", WEEKEND).to_spec() == {"expression": "0 9 * * *"}
    with pytest.raises(InvalidRequest, match="suppress, before, after"):
        cron("0 9 * * *", WEEKEND, on="sideways")


SCHEDULES: list[tuple[str, dict[str, Any]]] = [
    ("cron", {"expression": "30 2 * * *"}),
    ("cron", {"expression": "0 */3 * * *"}),
    ("cron", {"expression": "*/20 * * * 6,0"}),
    ("cron", {"expression": "15 23 1,15 * *"}),
    ("cron", {"expression": "*/30 1-3 * * *", "fold": "twice", "gap": "run_after"}),
    ("calendar", {"hour": "2", "minute": "30", "day_of_month": "Last"}),
    ("window", {"begin": "22:00", "end": "02:00", "every": 2400, "weekdays": ["fri", "sat"]}),
    ("rrule", {"rule": "FREQ=MONTHLY;BYDAY=-1SU,-1SA;BYHOUR=1,2", "start": "2026-01-01T01:30:00"}),
    ("fixed_rate", {"period": 25_200, "anchor": "2026-10-24T01:10:00Z"}),
    ("fixed_rate", {"period": 3600, "anchor": "2026-01-01T00:00:00Z"}),
    ("once", {"at": "2026-10-25T01:30:00Z"}),
]
RULES: list[Rules] = [
    WEEKEND,
    NIGHT,
    [{"cron": "0 1 * * *", "duration": "PT2H"}],
    [{"yearly": ["10-25", "03-28"]}, {"cron": "30 23 * * 6", "duration": "P3D"}],
    [{"from": "2026-10-10", "to": "2026-11-14"}],
]


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(SCHEDULES),
    st.lists(st.sampled_from(RULES), min_size=1, max_size=2),
    st.sampled_from(["suppress", "before", "after"]),
    st.sampled_from(["Europe/Berlin", "America/Havana", "Australia/Lord_Howe", "UTC"]),
    st.sampled_from([datetime(2026, 10, 12), datetime(2027, 3, 10)]),
    st.integers(0, 20 * 24 * 60),
)
def test_nothing_is_lost_and_nothing_comes_twice(
    of: tuple[str, dict[str, Any]], rules: list[Rules], on: str, time_zone: str, base: datetime, minutes: int
) -> None:
    it = excluding(*of, *rules, on=on, time_zone=time_zone)
    begin = base.replace(tzinfo=UTC) + timedelta(minutes=minutes)
    end = begin + timedelta(days=9)
    expected: dict[datetime, bool] = {}
    nominal = it.schedule.first(begin - timedelta(days=70))
    while nominal is not None and nominal < end + timedelta(days=70):
        reason = it.reason(nominal)
        expected[nominal] = reason is None
        if reason is not None and "moved to " in reason:
            to = datetime.fromisoformat(reason.rpartition("moved to ")[2]).astimezone(UTC)
            assert it.reason(to) is None
            assert (to > nominal) == (on == "after")
            expected[to] = True
        nominal = it.schedule.next_after(nominal)
    expected = {instant: runs for instant, runs in sorted(expected.items()) if begin <= instant < end}

    found: dict[datetime, bool] = {}
    instant = it.first(begin)
    while instant is not None and instant < end:
        assert not found or instant > max(found)
        found[instant] = it.reason(instant) is None
        instant = it.next_after(instant)
    assert found == expected

    if found:
        running, left_out = [at for at in found if found[at]], [at for at in found if not found[at]]
        first, last = min(found), end - _MICROSECOND
        assert it.missed(first, last) == (Missed(running[-1], len(running)) if running else None)
        assert it.excluded(first, last) == (Missed(left_out[-1], len(left_out)) if left_out else None)
        if running:
            assert it.next_to_run(begin - _MICROSECOND) == running[0]


DENSE = [{"cron": "*/30 * * * *", "duration": "PT10M"}, {"cron": "7/30 * * * *", "duration": "PT5M"}]


@pytest.mark.parametrize("on", ["suppress", "after", "before"])
def test_work_for_the_next_instant_is_bounded_with_the_most_windows(on: str) -> None:
    for kind, spec in (
        ("cron", {"expression": "0 9 * * *"}),
        ("fixed_rate", {"period": 10, "anchor": "2026-01-01T00:00:00Z"}),
    ):
        schedule = excluding(kind, spec, DENSE, on=on)
        moment = datetime(2026, 11, 28, 19, tzinfo=UTC)
        # The first of all timers reads what moves where for a month around; the others find that in memory.
        counted(lambda: schedule.next_after(moment), most=80_000)  # noqa: B023 - called at once
        # Another instant may be of another day, which is read once as well.
        following = schedule.next_after(moment)
        assert following is not None
        counted(lambda: schedule.next_after(following), most=MOST_TO_ASK)  # noqa: B023


def test_search_for_an_instant_to_run_ends_after_500_excluded_blocks() -> None:
    always = excluding("fixed_rate", {"period": 10, "anchor": "2026-01-01T00:00:00Z"}, [
        {"cron": "*/30 * * * *", "duration": "PT29M59S"},
    ])  # fmt: skip
    moment = datetime(2026, 11, 28, 19, tzinfo=UTC)
    _, found = counted(lambda: always.to_run(moment), most=100_000)
    assert found.instant is None
    assert found.excluded_until is not None
    assert timedelta(days=10) < found.excluded_until - moment < timedelta(days=11)


def test_schedules_of_one_calendar_share_what_moves_where() -> None:
    closed = [{"from": "2026-01-01", "to": "2030-12-31"}]
    first, second = (
        excluding("fixed_rate", {"period": period, "anchor": "2026-01-01T00:00:00Z"}, closed, on="after")
        for period in (10, 20)
    )
    moment = datetime(2027, 6, 1, 12, tzinfo=UTC)
    first.next_after(moment)
    lines, _ = counted(lambda: second.next_after(moment))
    assert lines < 2_000
