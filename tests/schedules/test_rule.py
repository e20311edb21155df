"""Two spellings of one schedule are one rule; another schedule is another."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from timers.schedules import parse
from timers.schedules.rule import Rule

Case = tuple[str, str, dict[str, Any], dict[str, Any]]
START = "2026-11-29T09:00:00"
SEED = {"seed": "work/t"}


def cron(before: str, after: str, **more: Any) -> Case:
    return "cron", f"{before} | {after}", {"expression": before, **more}, {"expression": after, **more}


def calendar(before: dict[str, Any], after: dict[str, Any]) -> Case:
    return "calendar", f"{before} | {after}", before, after


def window(before: dict[str, Any], after: dict[str, Any]) -> Case:
    common = {"begin": "13:00", "end": "15:00", "every": 1800}
    return "window", f"{before} | {after}", {**common, **before}, {**common, **after}


def rrule(before: str, after: str, start: str = START, start_after: str | None = None) -> Case:
    spec = {"rule": before, "start": start}
    return "rrule", f"{before} | {after}", spec, {"rule": after, "start": start_after or start}


def duration(kind: str, before: Any, after: Any) -> Case:
    field = "period" if kind == "fixed_rate" else "delay"
    anchor = {"anchor": "2026-11-29T00:00:00Z"} if kind == "fixed_rate" else {}
    return kind, f"{before} | {after}", {field: before, **anchor}, {field: after, **anchor}


SAME: list[Case] = [
    ("once", "offset", {"at": "2026-12-24T18:00:00Z"}, {"at": "2026-12-24T19:00:00+01:00"}),
    ("fixed_rate", "offset of the anchor",
     {"period": 60, "anchor": "2026-11-29T00:00:00Z"}, {"period": 60, "anchor": "2026-11-29T01:00:00+01:00"}),
    *[duration(kind, before, after) for kind in ("fixed_rate", "fixed_delay")
      for before, after in ((60, "PT1M"), (60, "PT60S"), (5400, "PT1H30M"), (0.25, "PT0.25S"))],
    cron("0 9 * * mon", "0 9 * * 1"),
    cron("0 9 * * MON", "0  9 * * mon"),
    cron("0 9 * * sun", "0 9 * * 0"),
    cron("0 9 * * 0", "0 9 * * 7"),
    cron("0 9 * * mon-fri", "0 9 * * 1-5"),
    cron("0 9 * * 1-5", "0 9 * * 5,4,3,2,1"),
    cron("0 9 1 jan,jul *", "0 9 1 7,1 *"),
    cron("0,15,30,45 9 * * *", "0-59/15 9 * * *"),
    cron("00 09 * * *", "0 9 * * *"),
    cron("0 9 * * *", "0 0 9 * * *"),
    cron("0 9 * * *", "0 0 9 * * * *"),
    cron("0 9 ? * mon", "0 9 * * mon"),
    cron("0 9 L,15 * *", "0 9 15,L * *"),
    cron("0 9 1-31 * *", "0 9 * * *"),
    cron("0 9 30 2,4 *", "0 9 30 4 *"),
    cron("0 9 * * fri#2", "0 9 * * 5#2"),
    cron("@daily", "0 0 * * *"),
    cron("@daily", "@midnight"),
    cron("@YEARLY", "@annually"),
    cron("@weekly", "0 0 * * sun"),
    cron("@hourly", "0 * * * *"),
    cron("@daily H", "H H * * *", **SEED),
    cron("h 9 * * *", "H 9 * * *", **SEED),
    cron("*/20 * * * *", "0,20,40 * * * *"),
    cron("0 */8 * * *", "0 0,8,16 * * *", gap="skip", fold="twice"),
    ("cron", "gap and fold as by default",
     {"expression": "30 2 * * *"}, {"expression": "30 2 * * *", "gap": "run_after", "fold": "once"}),
    calendar({"day_of_week": "Mon,Tue"}, {"day_of_week": "1,2"}),
    calendar({"day_of_week": "Mon-Fri"}, {"day_of_week": "5,1-4"}),
    calendar({"day_of_week": "Sun"}, {"day_of_week": 7}),
    calendar({"day_of_week": "0-7"}, {"day_of_week": "*"}),
    calendar({"day_of_week": "0-6"}, {"day_of_week": "*"}),
    calendar({"month": "Jan-Mar"}, {"month": "3,2,1"}),
    calendar({"hour": 9}, {"hour": "09"}),
    calendar({"hour": 9, "minute": 0}, {"hour": "9"}),
    calendar({"minute": "0/15", "hour": "9"}, {"minute": "0, 15,30,45", "hour": "9"}),
    calendar({"day_of_month": "last"}, {"day_of_month": "Last"}),
    calendar({"day_of_month": "1st  Mon, 15"}, {"day_of_month": "15,1ST MON"}),
    calendar({"day_of_month": "1-7"}, {"day_of_month": "1,2,3,4,5,6,7"}),
    window({"every": 1800}, {"every": "PT30M"}),
    window({"begin": "9:00"}, {"begin": "09:00:00"}),
    window({"weekdays": ["mon", "tue"]}, {"weekdays": ["tue", "Monday"]}),
    window({}, {"weekdays": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}),
    window({}, {"end": "14:45"}),
    window({}, {"gap": "skip"}),
    rrule("FREQ=WEEKLY;BYDAY=MO,TU;BYHOUR=9", "BYHOUR=9;BYDAY=TU,MO;FREQ=WEEKLY"),
    rrule("FREQ=DAILY", "rrule:freq=daily;interval=1;"),
    rrule("FREQ=DAILY", "FREQ=DAILY;BYHOUR=9;BYMINUTE=0;BYSECOND=0"),
    rrule("FREQ=MONTHLY;BYDAY=1MO", "FREQ=MONTHLY;BYDAY=+1MO"),
    rrule("FREQ=DAILY;UNTIL=20261231", "FREQ=DAILY;UNTIL=20261231T235959"),
    rrule("FREQ=DAILY;WKST=SU", "FREQ=DAILY;WKST=MO"),
    rrule("FREQ=WEEKLY;BYDAY=MO;WKST=SU", "FREQ=WEEKLY;BYDAY=MO"),
    rrule("FREQ=DAILY", "FREQ=DAILY", "2026-11-29T09:00:00", "2026-11-29 09:00"),
]  # fmt: skip
OTHER: list[Case] = [
    ("once", "instant", {"at": "2026-12-24T18:00:00Z"}, {"at": "2026-12-24T18:00:00+01:00"}),
    ("fixed_rate", "anchor",
     {"period": 60, "anchor": "2026-11-29T00:00:00Z"}, {"period": 60, "anchor": "2026-11-29T00:01:00Z"}),
    duration("fixed_rate", 60, 60.001),
    duration("fixed_delay", 60, "PT61S"),
    cron("0 9 * * mon", "0 9 * * 2"),
    cron("0 9 1 * 1", "0 9 1 * *"),
    cron("0 9 1 * mon", "0 9 */1 * mon"),
    cron("0 9 * * *", "1 0 9 * * *"),
    cron("@daily", "@daily H", **SEED),
    # A star goes on through the hours: where the clock is set, it fires otherwise than a list of times.
    cron("0 */1 * * *", "0 0-23 * * *"),
    ("cron", "seed", {"expression": "H 9 * * *", "seed": "a"}, {"expression": "H 9 * * *", "seed": "b"}),
    ("cron", "gap", {"expression": "30 2 * * *"}, {"expression": "30 2 * * *", "gap": "skip"}),
    calendar({"day_of_week": "Mon,Tue"}, {"day_of_week": "1,3"}),
    calendar({"minute": "*/15", "hour": "9"}, {"minute": "0,15,30,45", "hour": "9"}),
    window({}, {"end": "15:01"}),
    window({}, {"weekdays": ["mon"]}),
    rrule("FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO;WKST=SU", "FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO"),
    rrule("FREQ=DAILY;UNTIL=20261231", "FREQ=DAILY;UNTIL=20261231T235959Z"),
    rrule("FREQ=DAILY;COUNT=5", "FREQ=DAILY;COUNT=6"),
    rrule("FREQ=DAILY", "FREQ=DAILY", "2026-11-29T09:00:00", "2026-11-30T09:00:00"),
]  # fmt: skip


def ids(case: Case) -> str:
    return f"{case[0]}: {case[1]}"


def instants(kind: str, spec: dict[str, Any]) -> list[datetime]:
    schedule = parse(kind, spec, "Europe/Berlin")
    found = []
    moment = schedule.first(datetime(2026, 11, 1, tzinfo=UTC))
    while moment is not None and len(found) < 200:
        found.append(moment)
        moment = schedule.next_after(moment)
    return found


@pytest.mark.parametrize("case", SAME, ids=ids)
def test_two_spellings_of_one_schedule_are_equal_and_fire_alike(case: Case) -> None:
    kind, _, before, after = case
    assert before != after
    assert Rule(kind, before, "Europe/Berlin") == Rule(kind, after, "Europe/Berlin")
    assert instants(kind, before) == instants(kind, after)


@pytest.mark.parametrize("case", OTHER, ids=ids)
def test_another_schedule_is_not_equal(case: Case) -> None:
    kind, _, before, after = case
    assert Rule(kind, before, "Europe/Berlin") != Rule(kind, after, "Europe/Berlin")


def test_a_rule_of_another_kind_is_not_equal() -> None:
    assert Rule("cron", {"expression": "0 9 * * *"}, "UTC") != Rule("calendar", {"hour": "9"}, "UTC")


def test_the_time_zone_is_compared_on_its_own() -> None:
    assert Rule("cron", {"expression": "0 9 * * 1"}, "UTC") == Rule("cron", {"expression": "0 9 * * mon"}, "Asia/Tokyo")


@pytest.mark.parametrize("spec", [None, [], {"expression": "0 25 * * *"}, {"rule": "x"}, "text"])
def test_what_cannot_be_read_is_equal_to_itself_alone(spec: Any) -> None:
    assert Rule("cron", spec, "UTC") == Rule("cron", spec, "UTC")
    assert Rule("cron", spec, "UTC") != Rule("cron", {"expression": "0 9 * * *"}, "UTC")
    assert Rule("cron", spec, "UTC") != Rule("cron", {"expression": "0 26 * * *"}, "UTC")
