from __future__ import annotations

from itertools import product

import pytest

from timers.schedules.day_rules import (
    EVERY_DAY,
    BeforeLast,
    DayRange,
    DayRule,
    DayTerm,
    LastWeekday,
    NearestWeekday,
    NthWeekday,
    Numbers,
    Weekdays,
)  # fmt: skip

SUN, MON, FRI, SAT = 0, 1, 5, 6


def number(*days: int) -> Numbers:
    return Numbers(frozenset(days))


@pytest.mark.parametrize(
    ("term", "february_2026", "may_2026"),
    [
        # February 2026 begins on a Sunday and has 28 days; May 2026 begins on a Friday, its 31st is a Sunday.
        (number(1, 28, 29, 31), [1, 28], [1, 28, 29, 31]),
        (BeforeLast(0), [28], [31]),
        (BeforeLast(3), [25], [28]),
        (BeforeLast(30), [], [1]),
        (NearestWeekday(number(1)), [2], [1]),
        (NearestWeekday(number(2)), [2], [1]),
        (NearestWeekday(number(3)), [3], [4]),
        (NearestWeekday(number(31)), [], [29]),
        (NearestWeekday(BeforeLast(0)), [27], [29]),
        (NearestWeekday(BeforeLast(30)), [], [1]),
        (Weekdays(frozenset([FRI])), [6, 13, 20, 27], [1, 8, 15, 22, 29]),
        (Weekdays(frozenset([SUN, SAT])), [1, 7, 8, 14, 15, 21, 22, 28], [2, 3, 9, 10, 16, 17, 23, 24, 30, 31]),
        (NthWeekday(1, SUN), [1], [3]),
        (NthWeekday(5, SUN), [], [31]),
        (NthWeekday(5, MON), [], []),
        (LastWeekday(FRI), [27], [29]),
        (LastWeekday(SUN), [22], [31]),
        (DayRange(number(27), number(3)), [1, 2, 3, 27, 28], [1, 2, 3, 27, 28, 29, 30, 31]),
        (DayRange(number(30), number(2)), [1, 2], [1, 2, 30, 31]),
        (DayRange(number(30), BeforeLast(0)), [], [30, 31]),
        (DayRange(BeforeLast(2), BeforeLast(0)), [26, 27, 28], [29, 30, 31]),
        (DayRange(BeforeLast(0), number(1)), [1, 28], [1, 31]),
        (DayRange(NthWeekday(1, SUN), NthWeekday(1, FRI)), [1, 2, 3, 4, 5, 6], [1, *range(3, 32)]),
        (DayRange(NthWeekday(5, SUN), BeforeLast(0)), [], [31]),
        (DayRange(LastWeekday(FRI), BeforeLast(0)), [27, 28], [29, 30, 31]),
    ],
)  # fmt: skip
def test_a_term_stands_for_these_days_of_a_month(term: DayTerm, february_2026: list[int], may_2026: list[int]) -> None:
    rule = DayRule(of_month=(term,))
    assert [*rule.days(2026, 2)] == february_2026
    assert [*rule.days(2026, 5)] == may_2026


def test_day_terms_and_weekdays_are_joined_by_and_or_by_or() -> None:
    thirteenth, fridays = (number(13),), (Weekdays(frozenset([FRI])),)
    assert DayRule(thirteenth, fridays).days(2026, 2) == (13,)
    assert DayRule(thirteenth, fridays).days(2026, 5) == ()
    assert DayRule(thirteenth, fridays, either=True).days(2026, 5) == (1, 8, 13, 15, 22, 29)


def test_no_term_at_all_stands_for_every_day() -> None:
    assert EVERY_DAY.days(2028, 2) == tuple(range(1, 30))
    assert EVERY_DAY.days(2100, 2) == tuple(range(1, 29))


def test_the_nearest_weekday_is_never_a_weekend_and_never_in_another_month() -> None:
    for year, month, day in product(range(2020, 2034), range(1, 13), range(1, 32)):
        days = DayRule((NearestWeekday(number(day)),), (Weekdays(frozenset(range(1, 6))),)).days(year, month)
        assert len(days) == (number(day).numbers <= {*EVERY_DAY.days(year, month)})
        assert all(abs(found - day) <= 2 for found in days)
