"""Hostile rules: deliberately expensive specs. The tests bound their work, and timerbench measures their time."""

from __future__ import annotations

from typing import Any, Final

_START: Final = "2026-11-28T19:00:00"


def _list(low: int, high: int) -> str:
    return ",".join(str(number) for number in range(low, high + 1))


_RULES: Final = {
    "count of a drifting second": "FREQ=SECONDLY;COUNT=36000;INTERVAL=86399",
    "count of a drifting second, filtered": "FREQ=SECONDLY;COUNT=9000;INTERVAL=997;BYHOUR=3;BYMONTHDAY=1,5,9",
    "count of a drifting minute": "FREQ=MINUTELY;COUNT=36000;INTERVAL=1439",
    "count of months": "FREQ=MONTHLY;COUNT=1200;BYSETPOS=-1;BYDAY="
    + ",".join(
        f"{n}{day}" for n in (-5, -4, -3, -2, -1, 1, 2, 3, 4, 5) for day in ("SU", "MO", "TU", "WE", "TH", "FR")
    ),
    "count of days, too many": "FREQ=DAILY;COUNT=36600",
    "count of days, from 1970": "FREQ=DAILY;COUNT=36500",
    "count of leap days": "FREQ=DAILY;COUNT=25;BYMONTH=2;BYMONTHDAY=29",
    "count of chosen weeks": f"FREQ=WEEKLY;COUNT=5200;BYHOUR={_list(0, 23)};BYMINUTE={_list(0, 59)}"
    f";BYSETPOS={_list(1, 99)}",
    "all seconds": f"FREQ=SECONDLY;BYSECOND={_list(0, 59)}",
    "all seconds, every seventh": "FREQ=SECONDLY;INTERVAL=7;BYSECOND=1,2,3"
    f";BYMINUTE={_list(0, 59)};BYHOUR={_list(0, 23)}",
    "drift that never meets its hour": "FREQ=SECONDLY;INTERVAL=86399;BYHOUR=3;BYMINUTE=3;BYSECOND=3",
    "drift that never meets its weekday": "FREQ=SECONDLY;INTERVAL=604800;BYDAY=MO",
    "step over a day, never on a weekday": "FREQ=SECONDLY;INTERVAL=86401;BYHOUR=3;BYDAY=MO",
    "20 years": "FREQ=SECONDLY;INTERVAL=630720000",
    "20 years, never": "FREQ=YEARLY;INTERVAL=20;BYMONTH=2;BYMONTHDAY=29",
    "30 February": "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
    "weeks that never hold the day": "FREQ=YEARLY;BYWEEKNO=53;BYDAY=MO;BYYEARDAY=1;BYMONTH=7",
    "all weeks, never": f"FREQ=YEARLY;BYWEEKNO={_list(1, 53)};BYMONTH=1;BYMONTHDAY=31;BYDAY=MO;BYYEARDAY=60",
    "year chosen by second": f"FREQ=YEARLY;BYHOUR={_list(0, 23)};BYMINUTE={_list(0, 59)};BYSECOND={_list(0, 59)}"
    f";BYDAY=MO,TU;BYSETPOS={_list(1, 120)}",
    "position that is never reached": "FREQ=MONTHLY;BYMONTHDAY=1;BYSETPOS=300",
    "unknown parts": ";".join(f"A{n}=1" for n in range(150)),
    "10 KB": "X" * 10_240,
}
_CRONS: Final = {
    "every second": "* * * * * * *",
    "leap Monday": "0 0 0 29 2 */7",
    "30 February": "0 0 30 2 *",
    "29 February, never in a leap year": "0 0 0 29 2 ? "
    + ",".join(str(year) for year in range(1971, 2019) if year % 4),
    "never such a weekday": "* * */20 * 1L",
    "huge numbers": "*/" + "9" * 240 + " * * * x",
    "60 terms": ",".join(["0-59/1"] * 30) + " x * * *",
    "80 KB": "*" * 80_000,
    "100,000 commas": "* * * * " + "," * 100_000,
    "unicode digits": "\u0661\u0662 \u0663 * * *",
}
_CALENDARS: Final[dict[str, dict[str, Any]]] = {
    "8,030 years, 25 times": {"year": ",".join(f"{1970 + n}-{9999 - n}" for n in range(25))},
    "8,030 years, never": {"year": "1970-9999", "month": "2", "day_of_month": "30"},
    "leap Monday": {"year": "1970-9999", "month": "2", "day_of_month": "29", "day_of_week": "1"},
    "ranges of weekdays": {"day_of_month": ",".join(["1st Sun-Last Sat"] * 15)},
    "misspelt months": {"month": "JANUARYX," * 28},
}
_OTHERS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "window: every second": ("window", {"begin": "23:59:59", "end": "23:59:58", "every": 1}),
    "window: 10 KB": ("window", {"begin": "x" * 10_240, "end": "y" * 10_240, "every": "P" + "9" * 10_000 + "D"}),
    "fixed_rate: huge number": ("fixed_rate", {"period": 10**4_000, "anchor": "1970-01-01T00:00:00Z"}),
    "once: 1,500 unknown fields": ("once", {f"field_{n}": n for n in range(1_500)}),
}

HOSTILE: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    **{f"rrule: {name}": ("rrule", {"rule": rule, "start": _START}) for name, rule in _RULES.items()},
    **{f"cron: {name}": ("cron", {"expression": expression}) for name, expression in _CRONS.items()},
    **{f"calendar: {name}": ("calendar", spec) for name, spec in _CALENDARS.items()},
    **_OTHERS,
}
"""Kind and spec by name; most are refused, and some cost as much as a rule can."""
