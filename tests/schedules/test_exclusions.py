from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timers.exceptions import InvalidRequest
from timers.schedules import parse, public_holidays
from timers.schedules.exclusions import ExclusionCalendar
from timers.schedules.stretches import Stretch, merged, within
from timers.schedules.zones import zone

BERLIN = zone("Europe/Berlin")


def calendar(*rules: dict[str, Any], time_zone: str | None = None) -> ExclusionCalendar:
    return ExclusionCalendar.parse("free", list(rules), time_zone)


def at(text: str, time_zone: ZoneInfo = BERLIN) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=time_zone).astimezone(UTC)


@pytest.mark.parametrize(
    ("rule", "excluded", "reason", "free"),
    [
        ({"weekdays": ["sat", "Sunday"]}, "2026-11-21T00:00", "Saturday", "2026-11-20T23:59:59"),
        ({"weekdays": ["sat", "Sunday"]}, "2026-11-22T23:59:59", "Sunday", "2026-11-23T00:00"),
        ({"dates": ["2026-12-31"]}, "2026-12-31T12:00", "2026-12-31", "2027-12-31T12:00"),
        ({"yearly": ["12-24"]}, "2031-12-24T12:00", "every 24 December", "2031-12-23T12:00"),
        ({"yearly": ["02-29"]}, "2028-02-29T12:00", "every 29 February", "2027-02-28T12:00"),
        ({"from": "2026-07-20", "to": "2026-08-02"}, "2026-08-02T23:59", "2026-07-20 to 2026-08-02", "2026-08-03"),
        ({"holidays": "DE"}, "2026-12-25T09:00", "Christmas Day (holidays DE)", "2026-12-24T09:00"),
        ({"holidays": "DE", "subdivision": "BY"}, "2026-01-06T09:00", "Epiphany (holidays DE-BY)", "2026-01-07T09:00"),
        ({"holidays": "US"}, "2026-07-03T09:00", "Independence Day (observed) (holidays US)", "2026-07-06T09:00"),
        ({"cron": "0 22 * * 6", "duration": "PT4H"}, "2026-11-21T22:00", "window 0 22 * * 6 for 4 h", "2026-11-21"),
        ({"cron": "0 22 * * 6", "duration": 14_400}, "2026-11-22T01:59", "window 0 22 * * 6 for 4 h", "2026-11-22T02"),
        ({"cron": "0 9 * * 1", "duration": "P3D"}, "2026-11-18T12:00", "window 0 9 * * 1 for 3 d", "2026-11-19T09:00"),
        ({"dates": ["2026-12-31"], "label": "stocktaking"}, "2026-12-31T12:00", "stocktaking", "2026-12-30T12:00"),
    ],
)  # fmt: skip
def test_a_rule_excludes_and_says_why(rule: dict[str, Any], excluded: str, reason: str, free: str) -> None:
    it = calendar(rule)
    assert it.reason(at(excluded), BERLIN) == reason
    assert it.reason(at(free), BERLIN) is None


def test_days_are_those_of_the_calendars_own_zone_or_else_of_the_timers() -> None:
    instant = at("2026-11-21T00:30")  # Saturday in Berlin, Friday in New York
    new_york = zone("America/New_York")
    assert calendar({"weekdays": ["sat"]}).reason(instant, BERLIN) == "Saturday"
    assert calendar({"weekdays": ["sat"]}).reason(instant, new_york) is None
    assert calendar({"weekdays": ["sat"]}, time_zone="Europe/Berlin").reason(instant, new_york) == "Saturday"


def test_a_window_lasts_elapsed_time_also_where_the_clock_is_set() -> None:
    it = calendar({"cron": "0 1 * * 0", "duration": "PT2H"})
    (stretch,) = it.stretches(at("2027-03-28T00:00"), at("2027-03-28T12:00"), BERLIN)
    assert (stretch.begin, stretch.end) == (at("2027-03-28T01:00"), at("2027-03-28T04:00"))


def test_a_day_is_as_long_as_its_clock_shows_it() -> None:
    weekend = calendar({"weekdays": ["sun"]})
    for day, hours in (("2027-03-28", 23), ("2026-10-25", 25), ("2026-11-22", 24)):
        (stretch,) = weekend.stretches(at(f"{day}T00:00"), at(f"{day}T00:00") + timedelta(days=2), BERLIN)
        assert stretch.end - stretch.begin == timedelta(hours=hours)
    apia = zone("Pacific/Apia")  # which had no 30th of December in 2011
    gone = calendar({"dates": ["2011-12-30"]})
    assert gone.stretches(at("2011-12-28T00:00", apia), at("2012-01-02T00:00", apia), apia) == []


def test_touching_stretches_are_one() -> None:
    it = calendar({"weekdays": ["sat", "sun"]}, {"cron": "0 22 * * 5", "duration": "PT2H"}, {"dates": ["2026-11-23"]})
    (stretch,) = it.stretches(at("2026-11-18T00:00"), at("2026-11-26T00:00"), BERLIN)
    assert (stretch.begin, stretch.end) == (at("2026-11-20T22:00"), at("2026-11-24T00:00"))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from([
            {"weekdays": ["sun"]}, {"yearly": ["10-25", "03-28"]}, {"cron": "30 0,23 * * *", "duration": 5400},
            {"cron": "0 2 * * 0", "duration": "P2D"}, {"from": "2026-10-20", "to": "2026-10-22"},
        ]),
        min_size=1, max_size=3,
    ),
    st.sampled_from(["Europe/Berlin", "America/Havana", "America/St_Johns", "Australia/Lord_Howe"]),
    st.sampled_from([None, "UTC", "Asia/Kathmandu"]),
    st.datetimes(datetime(2026, 10, 15), datetime(2026, 11, 5)),
)  # fmt: skip
def test_stretches_and_reasons_agree(
    rules: list[dict[str, Any]], time_zone: str, own: str | None, wall: datetime
) -> None:
    it, where, instant = calendar(*rules, time_zone=own), zone(time_zone), wall.replace(tzinfo=UTC)
    begin = datetime(2026, 10, 10, 5, tzinfo=UTC)
    stretches = it.stretches(begin, begin + timedelta(days=35), where)
    assert any(low <= instant < high for low, high in stretches) == (it.reason(instant, where) is not None)
    for low, high in stretches:
        assert it.reason(low, where) is not None
        assert it.reason(high - timedelta(microseconds=1), where) is not None


def test_a_calendar_comes_back_from_its_rules_in_one_form() -> None:
    it = calendar(
        {"weekdays": ["Sunday", "sat"]}, {"holidays": "Germany", "subdivision": "Bayern"}, {"yearly": ["12-31", "1-6"]},
        {"cron": "0 22 * * 6", "duration": "PT4H", "label": "release"}, {"from": "2026-07-20", "to": "2026-08-02"},
    )  # fmt: skip
    assert it.to_spec() == [
        {"weekdays": ["sat", "sun"]},
        {"holidays": "DE", "subdivision": "BY"},
        {"yearly": ["01-06", "12-31"]},
        {"cron": "0 22 * * 6", "duration": 14_400, "label": "release"},
        {"from": "2026-07-20", "to": "2026-08-02"},
    ]
    again = ExclusionCalendar.parse("free", it.to_spec())
    assert (again, hash(again)) == (it, hash(it))


@pytest.mark.parametrize(
    ("rules", "field", "words"),
    [
        ("weekend", "rules", "must be a list of rules"),
        ([5], "rules.0", "must be an object"),
        ([{}], "rules.0", "it needs weekdays, dates"),
        ([{"weekday": ["sat"]}], "rules.0", "did you mean weekdays"),
        ([{"weekdays": ["sat"], "dates": ["2026-12-31"]}], "rules.0", "write a rule of its own for each"),
        ([{"weekdays": ["sat", "sunn"]}], "rules.0.weekdays", "did you mean sun"),
        ([{"weekdays": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}], "rules", "nothing would ever fire"),
        ([{"dates": []}], "rules.0.dates", "must be a list of dates"),
        ([{"dates": ["2026-02-30"]}], "rules.0.dates", "is no date"),
        ([{"dates": ["24.12.2026"]}], "rules.0.dates", "such as 2026-12-31"),
        ([{"dates": ["2026-01-01"] * 5001}], "rules.0.dates", "at most 5,000"),
        ([{"yearly": ["24-12"]}], "rules.0.yearly", "did you mean 12-24"),
        ([{"yearly": ["02-30"]}], "rules.0.yearly", "February has not"),
        ([{"from": "2026-01-02"}], "rules.0.to", "is missing"),
        ([{"from": "2026-01-02", "to": "2026-01-01"}], "rules.0.to", "not lie before from"),
        ([{"holidays": "Germny"}], "rules.0.holidays", "did you mean DE"),
        ([{"holidays": "DE-BY"}], "rules.0.holidays", "give the subdivision by itself: BY"),
        ([{"holidays": "XX"}], "rules.0.holidays", "no holidays are known"),
        ([{"holidays": "DE", "subdivision": "QQ"}], "rules.0.subdivision", "known are BB, BE"),
        ([{"holidays": "DE", "categories": ["bank"]}], "rules.0.categories", "catholic, public, school"),
        ([{"cron": "* * * * *", "duration": 60}], "rules.0.cron", "more than 48 times a day"),
        ([{"cron": f"{n},{n + 30} * * * *", "duration": 59} for n in range(3)], "rules", "144 windows a day together"),
        ([{"cron": "0 22 * * 8", "duration": 60}], "rules.0.cron", "day-of-week"),
        ([{"cron": "0 22 * * 6"}], "rules.0.duration", "is missing"),
        ([{"cron": "0 22 * * 6", "duration": "P32D"}], "rules.0.duration", "between 1 s and 31 d"),
        ([{"dates": ["2026-01-01"], "lable": "x"}], "rules.0.lable", "has no place in this rule"),
        ([{"dates": ["2026-01-01"], "label": "x" * 201}], "rules.0.label", "at most 200 characters"),
        ([{"dates": ["2026-01-01"]}] * 101, "rules", "at most 100"),
        ([{"weekdays": ["sat"]}, {"dates": ["x"]}], "rules.1.dates", "such as 2026-12-31"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(rules: Any, field: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words) as refused:
        ExclusionCalendar.parse("free", rules)
    assert refused.value.field == field


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(InvalidRequest) as refused:
        ExclusionCalendar.parse("free", [{"weekdays": ["x"]}, {"dates": ["y"]}], "Europe/Berlni")
    assert [problem.field for problem in refused.value.problems] == ["rules.0.weekdays", "rules.1.dates", "time_zone"]


def test_public_holidays_without_their_package_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "holidays", None)
    with pytest.raises(InvalidRequest, match="pip install holidays"):
        calendar({"holidays": "DE"})
    assert public_holidays.PublicHolidays("DE").where == "DE"


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["*/30 * * * *", "0 9 * * 1", "15 2,3 * * *", "0 0 1 * *", "0 22 * * 6,0"]),
    st.integers(1, 31 * 24 * 60),
    st.integers(0, 300 * 24 * 60),
    st.integers(1, 40 * 24 * 60),
)
def test_windows_that_overlap_exclude_what_they_exclude_one_by_one(
    cron: str, minutes: int, begin: int, length: int
) -> None:
    start = at("2026-01-01") + timedelta(minutes=begin)
    end = start + timedelta(minutes=length)
    it = calendar({"cron": cron, "duration": 60 * minutes})
    begins, moment = [], start - timedelta(minutes=minutes)
    schedule = parse("cron", {"expression": cron, "seed": ""}, BERLIN.key)
    while (found := schedule.next_after(moment)) is not None and found < end:
        begins.append(moment := found)
    one_by_one = merged(Stretch(each, each + timedelta(minutes=minutes)) for each in begins)
    assert it.excluded_windows(start, end, BERLIN) == within(one_by_one, start, end)
