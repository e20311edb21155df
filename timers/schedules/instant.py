"""Instants: points in time, stored as aware UTC datetimes of whole microseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from timers.exceptions import InvalidRequest

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
END = datetime(9000, 1, 1, tzinfo=UTC)
"""No instant lies here or later: whatever is added to one (a jitter, a wait, the offset of a time zone), the result
remains a date that Python and PostgreSQL can represent."""
_MICROSECOND = timedelta(microseconds=1)

# datetime.fromisoformat accepts more than is wanted (week dates, and 24:00 in only some Python versions).
_ISO = re.compile(
    r"(?P<year>[0-9]{4,6})-[0-9]{2}-[0-9]{2}"
    r"(?:[Tt ](?P<hour>[0-9]{2}):[0-9]{2}(?::(?P<second>[0-9]{2})(?:[.,][0-9]{1,6}(?P<finer>[0-9]*))?)?"
    r"(?P<offset>[Zz]|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_OFFSET = re.compile(r"[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9]")
_EXPECTED = "must be an instant with a time zone, such as 2026-11-20T15:00:27Z or 2026-11-20T16:00:27+01:00"
_NAIVE = "has no time zone: add an offset, such as Z or +01:00"
_YEARS = f"must lie in the years 1970 to {END.year - 1} (UTC)"


def parse_instant(value: Any, field: str) -> datetime:
    """Return the UTC instant of an aware datetime or an ISO 8601 string with an offset.

    Raises InvalidRequest for anything else: no time zone, a year outside 1970 to 8999, infinity, hour 24, a leap
    second, a fraction finer than a microsecond.
    """
    if isinstance(value, str):
        moment = _from_text(value, field)
    elif isinstance(value, datetime):
        moment = value
    else:
        raise InvalidRequest(field, _EXPECTED, given=value)
    if moment.utcoffset() is None:
        raise InvalidRequest(field, _NAIVE, given=value if isinstance(value, str) else value.isoformat())
    try:
        moment = moment.astimezone(UTC)
    except (OverflowError, ValueError):
        raise InvalidRequest(field, _YEARS, given=str(value)) from None
    if not EPOCH <= moment < END:
        raise InvalidRequest(field, _YEARS, given=str(value))
    return moment


def before_end(moment: datetime | None) -> datetime | None:
    """Return an instant of a schedule; None if it is later than the last possible one."""
    return moment if moment is None or moment < END else None


def format_instant(moment: datetime) -> str:
    """Format an instant canonically: UTC, ending in Z, microseconds only if there are any."""
    return in_utc(moment).replace(tzinfo=None).isoformat() + "Z"


def in_utc(moment: datetime) -> datetime:
    """Return the instant in UTC.

    Raises TypeError for a naive datetime, which would silently use this machine's zone.
    """
    if moment.tzinfo is UTC:
        return moment
    if moment.utcoffset() is None:
        raise TypeError(f"a datetime without time zone is no instant: {moment}")
    return moment.astimezone(UTC)


def to_microseconds(moment: datetime) -> int:
    """Return whole microseconds since 1970-01-01 UTC, exact."""
    return (moment - EPOCH) // _MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    """Return the UTC instant that many microseconds after 1970-01-01 UTC, exact. OverflowError beyond year 9999."""
    return EPOCH + timedelta(microseconds=microseconds)


def _from_text(text: str, field: str) -> datetime:
    found = _ISO.fullmatch(text) if len(text) <= 64 else None
    if found is None:
        raise InvalidRequest(field, _EXPECTED, given=text)
    if len(found["year"]) > 4:
        raise InvalidRequest(field, _YEARS, given=text)
    if found["offset"] is None:
        raise InvalidRequest(field, _NAIVE, given=text)
    if found["hour"] == "24":
        raise InvalidRequest(field, "has hour 24: write 00:00 of the next day", given=text)
    if found["second"] == "60":
        raise InvalidRequest(field, "has a leap second, which no clock here shows: write second 59 or 00", given=text)
    if (found["finer"] or "").strip("0"):
        raise InvalidRequest(field, "is finer than a microsecond: give at most 6 digits of a second", given=text)
    if found["offset"] not in ("Z", "z") and not _OFFSET.fullmatch(found["offset"]):
        remedy = "write Z, or hours up to 23 and minutes up to 59 such as +01:00"
        raise InvalidRequest(field, f"is not an instant: no clock is off by {found['offset']}; {remedy}", given=text)
    try:
        return datetime.fromisoformat(text.upper().replace(",", "."))
    except ValueError as error:
        raise InvalidRequest(field, f"is not an instant: {error}", given=text) from None
