from __future__ import annotations

import time
from typing import Any

import pytest

from timers.exceptions import InvalidRequest
from timers.schedules import parse


@pytest.mark.parametrize(
    ("field", "given", "reason"),
    [
        ("second", "60", "has '60'; allowed are 0-59, *, lists, ranges, increments x/y"),
        ("minute", -1, "has '-1'; allowed are 0-59"),
        ("minute", "1,2,x", "has 'x'; allowed are 0-59"),
        ("minute", "1.5", "has '1.5'"),
        ("minute", "1-2-3", "has '1-2-3'"),
        ("minute", "1,,2", "has '' (a comma stands between two values)"),
        ("minute", "", "has ''; allowed are 0-59"),
        ("minute", "5/", "has '5/' (an increment is a start and a step, such as 0/15)"),
        ("minute", "1-10/2", "has '1-10/2' (an increment is a start and a step"),
        ("minute", "5/70", "has '70'; allowed are 0-59"),
        ("minute", "70/5", "has '70'; allowed are 0-59"),
        ("minute", "1,*", "has '*' (a wild card stands alone, not in a list)"),
        ("minute", "1,*/2", "has '*/2' (an increment stands alone, not in a list)"),
        ("minute", "*-5", "has '*-5'"),
        ("minute", "1 0", "has '1 0'"),
        ("hour", "24", "has '24'; allowed are 0-23"),
        ("hour", "12/24", "has '24'; allowed are 0-23"),
        ("day_of_month", "0", "has '0'; allowed are 1-31"),
        ("day_of_month", "32", "has '32'; allowed are 1-31"),
        ("day_of_month", "-8", "has '-8' (from -7 to -1: so many days before the last)"),
        ("day_of_month", "6th Sun", "has '6th Sun' (1st, 2nd, 3rd, 4th, 5th or Last stands before a weekday)"),
        ("day_of_month", "1st Sub", "did you mean Sun?"),
        ("day_of_month", "Last Friday", "did you mean Fri?"),
        ("day_of_month", "1st", "has '1st'; allowed are 1-31, -7 to -1"),
        ("day_of_month", "Fri", "has 'Fri'; allowed are 1-31"),
        ("day_of_month", "*/2", "has '*/2' (increments belong to second, minute and hour)"),
        ("day_of_month", "1st Sun-", "has '1st Sun-'"),
        ("month", "0", "has '0'; allowed are 1-12 or Jan-Dec"),
        ("month", "July", "has 'July', did you mean Jul?"),
        ("month", "1/3", "increments belong to second, minute and hour"),
        ("day_of_week", "8", "has '8'; allowed are 0-7 or Sun-Sat (0 and 7 are Sunday)"),
        ("day_of_week", "Monday", "has 'Monday', did you mean Mon?"),
        ("day_of_week", "Last", "has 'Last'; allowed are 0-7"),
        ("year", "27", "has '27'; allowed are the years 1970 to 9999"),
        ("year", "1969", "has '1969'"),
        ("year", 20_270, "has too many digits"),
        ("year", "2027/2", "increments belong to second, minute and hour"),
        ("minute", "\u0661", "holds '\u0661'"),
        ("minute", "1\n", r"holds '\n'"),
        ("minute", None, "must be a text or a whole number"),
        ("minute", True, "must be a text or a whole number"),
        ("minute", 1.0, "must be a text or a whole number"),
        ("minute", ["1"], "must be a text or a whole number"),
    ],
)  # fmt: skip
def test_a_refused_attribute_is_named_with_what_is_allowed(field: str, given: Any, reason: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse("calendar", {field: given})
    assert refused.value.field == field
    assert reason in str(refused.value)
    assert len(str(refused.value)) < 400


def test_all_wrong_attributes_are_named_at_once() -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse("calendar", {"year": "27", "minute": "60", "day_of_month": "x"})
    assert [problem.field for problem in refused.value.problems] == ["minute", "day_of_month", "year"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [("dayOfMonth", "day_of_month"), ("dayOfWeek", "day_of_week"), ("days_of_week", "day_of_week"), ("Hours", "hour")],
)
def test_an_attribute_written_otherwise_is_told_its_name(written: str, meant: str) -> None:
    with pytest.raises(InvalidRequest, match=f"is not known for calendar; did you mean {meant}") as refused:
        parse("calendar", {written: "1"})
    assert refused.value.field == written


def test_what_never_fires_is_refused_with_the_reason() -> None:
    with pytest.raises(
        InvalidRequest, match="never fires: February has no 30th day; Last is the last day of every month"
    ):
        parse("calendar", {"day_of_month": 30, "month": "Feb"})
    with pytest.raises(InvalidRequest, match="never fires: February has no 29th day in 2027"):
        parse("calendar", {"day_of_month": "29", "month": "2", "year": "2027"})
    with pytest.raises(InvalidRequest, match="never fires: no month asked for has such a day"):
        parse("calendar", {"day_of_month": "5th Sun", "month": "Feb", "year": "2027"})


@pytest.mark.parametrize(
    "given",
    ["*" * 80_000, "," * 100_000, "1," * 127, "1-" * 128, "9" * 256, "1st " * 64, " " * 256, "-" * 250, 10**4_000],
)
def test_an_attribute_made_to_be_slow_is_refused_within_50_ms(given: Any) -> None:
    began = time.thread_time()
    with pytest.raises(InvalidRequest):
        parse("calendar", {"day_of_month": given, "minute": given})
    assert time.thread_time() - began < 0.05
