"""Durations, stored as whole microseconds."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

from timers.exceptions import InvalidRequest

Duration = int | float | str | timedelta
"""Accepted forms: seconds, a timedelta, or ISO 8601 text."""

MICROSECONDS_PER_SECOND = 1_000_000
LONGEST = 36_525 * 86_400 * MICROSECONDS_PER_SECOND  # 100 years

_NUMBER = r"([0-9]+(?:[.,][0-9]+)?)"
_ISO = re.compile(rf"P(?=.)(?:{_NUMBER}W)?(?:{_NUMBER}D)?(?:T(?=.)(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?")
_ISO_WITH_YEARS_OR_MONTHS = re.compile(r"P[^T]*[YM].*")
_ISO_SECONDS = (604_800, 86_400, 3_600, 60, 1)
_MICROSECOND = timedelta(microseconds=1)
_EXPECTED = "must be a number of seconds, or an ISO 8601 duration such as PT1M30S"
_UNITS = ((86_400_000_000, "d"), (3_600_000_000, "h"), (60_000_000, "m"), (1_000_000, "s"), (1_000, "ms"), (1, "us"))


def parse_duration(
    value: Any, field: str, *, at_least: int = 1, at_most: int = LONGEST, allow_zero: bool = False
) -> int:
    """Return the whole microseconds of a duration given as seconds, timedelta or ISO 8601 text.

    Args:
        value: The duration. A float is rounded to the nearest microsecond; a Decimal or a text with a finer fraction is
            refused.
        field: Name of the field in errors.
        at_least: Lower limit in microseconds, inclusive.
        at_most: Upper limit in microseconds, inclusive.
        allow_zero: Accept zero whatever `at_least` is.

    Raises:
        InvalidRequest: The duration is invalid.
    """
    microseconds = _microseconds(value, field)
    if allow_zero and microseconds == 0:
        return 0
    if not at_least <= microseconds <= at_most:
        bounds = f"must be between {describe_duration(at_least)} and {describe_duration(at_most)}"
        raise InvalidRequest(field, f"{bounds}, or 0" if allow_zero else bounds, given=value)
    return microseconds


def parse_seconds(value: Any, field: str, *, at_least: float = 0, at_most: float) -> int | float:
    """Return a duration in seconds, with limits in seconds: the stored form of all durations except schedules'.

    Raises InvalidRequest.
    """
    microseconds = _microseconds(value, field)
    low, high = round(at_least * MICROSECONDS_PER_SECOND), round(at_most * MICROSECONDS_PER_SECOND)
    if not low <= microseconds <= high:
        raise InvalidRequest(field, f"must be from {describe_duration(low)} to {describe_duration(high)}", given=value)
    return seconds_of(microseconds)


def seconds_of(microseconds: int) -> int | float:
    """Return microseconds as the number of seconds for JSON; parse_duration converts it back exactly."""
    whole, rest = divmod(microseconds, MICROSECONDS_PER_SECOND)
    return microseconds / MICROSECONDS_PER_SECOND if rest else whole


def describe_duration(microseconds: int) -> str:
    """Format a duration: "5 s", "1 m 30 s", "2 h", "250 ms"."""
    if microseconds <= 0:
        return "0 s" if microseconds == 0 else f"-{describe_duration(-microseconds)}"
    words = []
    for size, unit in _UNITS:
        amount, microseconds = divmod(microseconds, size)
        if amount:
            words.append(f"{amount} {unit}")
    return " ".join(words)


def _microseconds(value: Any, field: str) -> int:
    if isinstance(value, bool):
        raise InvalidRequest(field, _EXPECTED, given=value)
    if isinstance(value, int):
        return int(value) * MICROSECONDS_PER_SECOND
    if isinstance(value, float):
        return _from_float(value, field)
    if isinstance(value, timedelta):
        return value // _MICROSECOND
    if isinstance(value, Decimal):
        return _from_decimal(value, field, given=value)
    if isinstance(value, str):
        return _from_iso(value, field)
    raise InvalidRequest(field, _EXPECTED, given=value)


def _from_float(value: float, field: str) -> int:
    # Also the largest numbers, whose microseconds are infinite.
    if not math.isfinite(value * MICROSECONDS_PER_SECOND):
        raise InvalidRequest(field, "must be a finite number of seconds", given=value)
    return round(value * MICROSECONDS_PER_SECOND)


def _from_decimal(value: Decimal, field: str, *, given: Any) -> int:
    if not value.is_finite():
        raise InvalidRequest(field, "must be a finite number of seconds", given=given)
    if value.adjusted() > 18 or len(value.as_tuple().digits) > 28:
        raise InvalidRequest(field, "has too many digits", given=given)
    microseconds = value.scaleb(6)
    if microseconds != microseconds.to_integral_value():
        raise InvalidRequest(field, "is finer than a microsecond", given=given)
    return int(microseconds)


def _from_iso(text: str, field: str) -> int:
    found = _ISO.fullmatch(text) if len(text) <= 64 else None
    if found is None:
        if len(text) <= 64 and _ISO_WITH_YEARS_OR_MONTHS.fullmatch(text):
            raise InvalidRequest(field, "has years or months, whose length varies: give days or less", given=text)
        raise InvalidRequest(field, _EXPECTED, given=text)
    total = 0
    for number, unit_seconds in zip(found.groups(), _ISO_SECONDS, strict=True):
        if number is not None:
            total += _from_decimal(Decimal(number.replace(",", ".")), field, given=text) * unit_seconds
    return total
