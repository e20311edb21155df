from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timers.exceptions import InvalidRequest
from timers.schedules.duration import LONGEST, describe_duration, parse_duration, seconds_of


@pytest.mark.parametrize(
    ("given_value", "microseconds"),
    [
        (60, 60_000_000),
        (0.1, 100_000),
        (0.1 + 0.2, 300_000),
        (1 / 3, 333_333),
        (1e-6, 1),
        (Decimal("0.000001"), 1),
        (Decimal("90"), 90_000_000),
        (Decimal("1E+3"), 1_000_000_000),
        (timedelta(days=1, microseconds=1), 86_400_000_001),
        ("PT1M30S", 90_000_000),
        ("P1D", 86_400_000_000),
        ("P2W", 1_209_600_000_000),
        ("P1DT2H3M4.000005S", 93_784_000_005),
        ("PT0,25S", 250_000),
        ("PT1.5H", 5_400_000_000),
    ],
)
def test_a_duration_is_exact_to_the_microsecond(given_value: Any, microseconds: int) -> None:
    assert parse_duration(given_value, "period") == microseconds


@pytest.mark.parametrize(
    ("given_value", "reason"),
    [
        (0, "must be between 1 us and"),
        (0.0, "must be between"),
        (-1, "must be between"),
        (timedelta(0), "must be between"),
        (timedelta(seconds=-1), "must be between"),
        ("PT0S", "must be between"),
        (36_526 * 86_400, "must be between 1 us and 36525 d"),
        (10**400, "must be between"),
        (1e300, "must be between"),
        (float("nan"), "finite"),
        (float("inf"), "finite"),
        (float("-inf"), "finite"),
        (-1.7976931348623157e308, "finite"),
        (Decimal("NaN"), "finite"),
        (Decimal("sNaN"), "finite"),
        (Decimal("Infinity"), "finite"),
        (Decimal("1E+999999"), "too many digits"),
        (Decimal("0.0000001"), "finer than a microsecond"),
        (Decimal("1E-999999"), "finer than a microsecond"),
        ("PT0.0000001S", "finer than a microsecond"),
        ("P1M", "years or months"),
        ("P1Y", "years or months"),
        ("P1Y2DT3H", "years or months"),
        (True, "must be a number of seconds"),
        (False, "must be a number of seconds"),
        ("60", "must be a number of seconds"),
        ("", "must be a number of seconds"),
        ("P", "must be a number of seconds"),
        ("PT", "must be a number of seconds"),
        ("P1DT", "must be a number of seconds"),
        ("PT1S\n", "must be a number of seconds"),
        ("-PT1S", "must be a number of seconds"),
        ("PT٣S", "must be a number of seconds"),
        ("PT" + "9" * 100_000 + "S", "must be a number of seconds"),
        ("PT" + "9" * 50 + "S", "too many digits"),
        (None, "must be a number of seconds"),
        ([5], "must be a number of seconds"),
        (5j, "must be a number of seconds"),
    ],
)
def test_what_is_no_duration_is_refused_with_the_reason(given_value: Any, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason) as refused:
        parse_duration(given_value, "period")
    assert refused.value.field == "period"


def test_zero_is_taken_only_where_it_is_allowed() -> None:
    assert parse_duration(0, "jitter", allow_zero=True) == 0
    assert parse_duration("PT0S", "jitter", at_least=1_000, allow_zero=True) == 0
    with pytest.raises(InvalidRequest, match=r"between 1 ms and .* or 0"):
        parse_duration(0.0005, "jitter", at_least=1_000, allow_zero=True)


@given(st.integers(1, LONGEST))
def test_seconds_bring_every_microsecond_back(microseconds: int) -> None:
    assert parse_duration(seconds_of(microseconds), "period") == microseconds


@pytest.mark.parametrize(
    ("microseconds", "words"),
    [
        (5_000_000, "5 s"),
        (90_000_000, "1 m 30 s"),
        (7_200_000_000, "2 h"),
        (250_000, "250 ms"),
        (1_500_000, "1 s 500 ms"),
        (86_400_000_000, "1 d"),
        (1, "1 us"),
        (0, "0 s"),
        (-5_000_000, "-5 s"),
    ],
)
def test_a_duration_is_said_in_words(microseconds: int, words: str) -> None:
    assert describe_duration(microseconds) == words
