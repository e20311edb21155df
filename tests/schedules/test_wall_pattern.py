from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timers.schedules.day_rules import BeforeLast, DayRule, NthWeekday, Numbers, Weekdays
from timers.schedules.times_of_day import ClockTimes, ListedTimes, TimesOfDay
from timers.schedules.wall_pattern import WallPattern

NOON = ListedTimes((43_200,))
SECOND = timedelta(seconds=1)

some = st.lists(st.integers(0, 59), min_size=1, max_size=4, unique=True).map(sorted).map(tuple)
some_hours = st.lists(st.integers(0, 23), min_size=1, max_size=4, unique=True).map(sorted).map(tuple)
clock_times = st.builds(ClockTimes, some_hours, some, some)
seconds_of_day = st.integers(-1, 86_400)


def listed(times: ClockTimes) -> list[int]:
    return [h * 3_600 + m * 60 + s for h in times.hours for m in times.minutes for s in times.seconds]


@given(clock_times, seconds_of_day)
def test_clock_times_are_the_list_of_their_combinations(times: ClockTimes, second: int) -> None:
    every = listed(times)
    as_list = ListedTimes(tuple(every))
    for found in (times, as_list):
        assert found.total == len(every)
        assert found.after(second) == next((time for time in every if time > second), None)
        assert found.count_before(max(second, 0)) == sum(time < second for time in every)


@pytest.mark.parametrize(
    ("pattern", "start", "expected"),
    [
        (WallPattern(NOON), "2026-12-31T12:00:00", "2027-01-01T12:00:00"),
        (WallPattern(NOON), "2026-12-31T11:59:59.999999", "2026-12-31T12:00:00"),
        (WallPattern(NOON, DayRule((BeforeLast(0),)), months=(2,)), "2026-03-01", "2027-02-28T12:00:00"),
        (WallPattern(NOON, months=(3, 9), years=(2028, 2040)), "2026-01-01", "2028-03-01T12:00:00"),
        (WallPattern(NOON, months=(3, 9), years=(2028, 2040)), "2028-09-30T12:00:00", "2040-03-01T12:00:00"),
        (WallPattern(NOON, months=(3, 9), years=(2028, 2040)), "2040-09-30T12:00:00", None),
        (WallPattern(NOON, years=(2028,)), "2030-01-01", None),
        (WallPattern(NOON, DayRule((Numbers(frozenset([29])),), (Weekdays(frozenset([0])),)), (2,)),
         "2088-03-01", "2128-02-29T12:00:00"),
        (WallPattern(NOON), "9999-12-31T12:00:00", None),
        (WallPattern(ClockTimes((0,), (0,))), "0001-01-01", "0001-01-02T00:00:00"),
    ],
)  # fmt: skip
def test_the_next_wall_lies_over_months_and_years_or_nowhere(
    pattern: WallPattern, start: str, expected: str | None
) -> None:
    found = pattern.after(datetime.fromisoformat(start))
    assert (found and found.isoformat()) == expected


patterns = st.builds(
    WallPattern,
    clock_times | st.lists(seconds_of_day.filter(lambda s: 0 <= s < 86_400), min_size=1, max_size=5, unique=True)
    .map(sorted).map(tuple).map(ListedTimes),
    st.sampled_from([
        DayRule(), DayRule((Numbers(frozenset([1, 15, 31])),)), DayRule((BeforeLast(1),), (NthWeekday(5, 3),), True),
        DayRule(None, (Weekdays(frozenset([0, 2])),)),
    ]),
    st.sampled_from([tuple(range(1, 13)), (2,), (1, 6, 7, 12)]),
    st.sampled_from([None, (2026,), (2024, 2027)]),
)  # fmt: skip
walls = st.datetimes(datetime(2023, 6, 1), datetime(2028, 6, 1))


@given(patterns, walls, st.integers(0, 100))
def test_walls_are_counted_as_if_they_were_walked_through(pattern: WallPattern, start: datetime, steps: int) -> None:
    start = start.replace(microsecond=0)
    walked = [] if pattern.count(start, start + SECOND) == 0 else [start]
    wall = pattern.after(start)
    while wall is not None and len(walked) < steps:
        assert wall > (walked[-1] if walked else start)
        walked.append(wall)
        wall = pattern.after(wall)
    end = wall or datetime(2029, 1, 1)
    assert pattern.count(start, end) == len(walked)
    assert pattern.count(start, end + SECOND) == len(walked) + (wall is not None)
    assert pattern.count(end, start) == pattern.count(start, start) == 0


def test_a_bound_between_two_seconds_leaves_out_the_wall_before_it() -> None:
    noon, tick = datetime(2026, 11, 20, 12), timedelta(microseconds=1)
    assert WallPattern(NOON).count(noon - tick, noon + tick) == 1
    assert WallPattern(NOON).count(noon + tick, noon + SECOND) == 0
    assert WallPattern(NOON).count(noon - SECOND, noon) == WallPattern(NOON).count(noon - SECOND, noon - tick) == 0


@given(patterns, walls)
def test_the_answer_is_the_same_from_wherever_it_is_asked(pattern: WallPattern, start: datetime) -> None:
    wall = pattern.after(start)
    if wall is not None:
        assert pattern.after(start + (wall - start) / 2 - timedelta(microseconds=1)) == wall
        assert pattern.after(wall - SECOND) == wall
        assert pattern.count(start.replace(microsecond=0) + SECOND, wall) == 0


@pytest.mark.parametrize("times", [NOON, ClockTimes((12,), (0,))])
def test_a_pattern_of_a_day_that_never_comes_is_told_apart(times: TimesOfDay) -> None:
    thirtieth, leap_day = DayRule((Numbers(frozenset([30])),)), DayRule((Numbers(frozenset([29])),))
    assert not WallPattern(times, thirtieth, (2,)).ever_matches()
    assert WallPattern(times, thirtieth, (2, 3)).ever_matches()
    assert WallPattern(times, leap_day, (2,)).ever_matches()
    assert not WallPattern(times, leap_day, (2,), (2026, 2027, 2100)).ever_matches()
    assert WallPattern(times, leap_day, (2,), (2027, 2028)).ever_matches()
