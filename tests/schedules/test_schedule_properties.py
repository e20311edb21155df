"""What holds for every schedule, and cron held against a walk through the minutes that shares no code with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timers.exceptions import InvalidRequest
from timers.schedules import Missed, Schedule, parse

MINUTE, TICK = timedelta(minutes=1), timedelta(microseconds=1)
ZONES = [
    "UTC", "Europe/Berlin", "Europe/Dublin", "America/New_York", "America/St_Johns", "America/Sao_Paulo",
    "Australia/Lord_Howe", "Africa/Cairo", "Africa/Casablanca", "Asia/Kathmandu", "Asia/Gaza", "Pacific/Apia",
    "Pacific/Chatham", "Antarctica/Troll", "America/Nuuk",
]  # fmt: skip


def clock_changes(zone: ZoneInfo, years: range) -> list[datetime]:
    """The minutes at which the clock of a zone is set, found by looking at every hour."""
    found = []
    moment, end = datetime(years.start, 1, 1, tzinfo=UTC), datetime(years.stop, 1, 1, tzinfo=UTC)
    offset = moment.astimezone(zone).utcoffset()
    while moment < end:
        moment += timedelta(hours=1)
        if (now := moment.astimezone(zone).utcoffset()) != offset:
            minute = moment - timedelta(hours=1)
            while minute.astimezone(zone).utcoffset() == offset:
                minute += MINUTE
            found.append(minute)
            offset = now
    return found


CHANGES = {name: clock_changes(ZoneInfo(name), range(2025, 2028)) for name in ZONES}


# Expressions as pairs: the text, and the values that each field stands for.
def terms(low: int, high: int) -> st.SearchStrategy[tuple[str, frozenset[int]]]:
    value = st.integers(low, high)
    single = value.map(lambda v: (str(v), frozenset([v])))
    rising = st.tuples(value, value).map(sorted)
    ranged = rising.map(lambda r: (f"{r[0]}-{r[1]}", frozenset(range(r[0], r[1] + 1))))
    step = st.integers(1, high)
    starred = step.map(lambda s: (f"*/{s}", frozenset(range(low, high + 1, s))))
    stepped = st.tuples(rising, step).map(
        lambda t: (f"{t[0][0]}-{t[0][1]}/{t[1]}", frozenset(range(t[0][0], t[0][1] + 1, t[1])))
    )
    return single | ranged | starred | stepped


def fields(low: int, high: int) -> st.SearchStrategy[tuple[str, frozenset[int]]]:
    listed = st.lists(terms(low, high), min_size=1, max_size=3).map(
        lambda ts: (",".join(text for text, _ in ts), frozenset().union(*(values for _, values in ts)))
    )
    return st.just(("*", frozenset(range(low, high + 1)))) | listed


minutes, hours, days, months, weekdays = fields(0, 59), fields(0, 23), fields(1, 31), fields(1, 12), fields(0, 6)
any_day = st.just([("*", frozenset(range(1, 32))), ("*", frozenset(range(1, 13))), ("*", frozenset(range(7)))])
expressions = st.tuples(minutes, hours, any_day | st.tuples(days, months, weekdays)).map(lambda e: [e[0], e[1], *e[2]])
zone_names = st.sampled_from(ZONES)
policies = st.fixed_dictionaries(
    {}, optional={"gap": st.sampled_from(["run_after", "skip"]), "fold": st.sampled_from(["once", "twice"])}
)


@st.composite
def moments_near_changes(draw: st.DrawFn, zone_name: str) -> datetime:
    start = draw(st.sampled_from(CHANGES[zone_name] or [datetime(2026, 3, 29, 1, tzinfo=UTC)]))
    return start + timedelta(
        minutes=draw(st.integers(-2_000, 200)), microseconds=draw(st.sampled_from([0, 1, 999_999]))
    )


def walked(
    fields: list[tuple[str, frozenset[int]]], policy: dict[str, str], zone: ZoneInfo, start: datetime, end: datetime
) -> list[datetime]:
    """Every fire from `start` to before `end` (whole minutes, UTC), by looking at every single minute."""
    (
        (minute_text, minute_set),
        (hour_text, hour_set),
        (day_text, day_set),
        (_, month_set),
        (weekday_text, weekday_set),
    ) = fields
    names_times = not minute_text.startswith("*") and not hour_text.startswith("*")
    after_gap = policy.get("gap", "run_after" if names_times else "skip") == "run_after"
    once = policy.get("fold", "once" if names_times else "twice") == "once"
    both_days = day_text.startswith("*") or weekday_text.startswith("*")

    def matches(wall: datetime) -> bool:
        in_day, in_weekday = wall.day in day_set, wall.isoweekday() % 7 in weekday_set
        day = (in_day and in_weekday) if both_days else (in_day or in_weekday)
        return day and wall.month in month_set and wall.hour in hour_set and wall.minute in minute_set

    found, moment = [], start
    while moment < end:
        clock = moment.astimezone(zone)
        wall = clock.replace(tzinfo=None, fold=0)
        fires = matches(wall) and not (once and clock.fold)
        if after_gap and not fires:
            skipped = (moment - MINUTE).astimezone(zone).replace(tzinfo=None, fold=0) + MINUTE
            while skipped < wall and not fires:
                fires = matches(skipped)
                skipped += MINUTE
        if fires:
            found.append(moment)
        moment += MINUTE
    return found


def enumerated(schedule: Schedule, start: datetime, end: datetime) -> list[datetime]:
    found, moment = [], schedule.first(start)
    while moment is not None and moment < end:
        found.append(moment)
        moment = schedule.next_after(moment)
    return found


def cron_or_none(fields: list[tuple[str, Any]], policy: dict[str, str], zone_name: str) -> Schedule | None:
    try:
        return parse("cron", {"expression": " ".join(text for text, _ in fields), **policy}, zone_name)
    except InvalidRequest as error:
        assert "never fires" in str(error)
        return None


@settings(max_examples=150, deadline=None)
@given(st.data(), expressions, policies, zone_names)
def test_cron_fires_exactly_where_a_walk_through_every_minute_does(
    data: st.DataObject, expression: Any, policy: dict[str, str], name: str
) -> None:
    schedule = cron_or_none(expression, policy, name)
    start = data.draw(moments_near_changes(name)).replace(microsecond=0)
    end = start + timedelta(minutes=2_200)
    expected = walked(expression, policy, ZoneInfo(name), start, end)
    assert (enumerated(schedule, start, end) if schedule else []) == expected


@settings(max_examples=150, deadline=None)
@given(st.data(), expressions, policies, zone_names)
def test_the_next_fire_does_not_depend_on_where_between_two_fires_one_asks(
    data: st.DataObject, expression: Any, policy: dict[str, str], name: str
) -> None:
    schedule = cron_or_none(expression, policy, name)
    moment = data.draw(moments_near_changes(name))
    following = schedule.next_after(moment) if schedule else None
    if schedule is None or following is None:
        return
    assert following > moment
    between = moment + (following - moment) * data.draw(st.floats(0, 0.999))
    assert schedule.next_after(between) == schedule.first(between + TICK) == following
    assert schedule.next_after(following - TICK) == schedule.first(following) == following


@settings(max_examples=100, deadline=None)
@given(st.data(), expressions, policies, zone_names)
def test_missed_fires_are_told_as_if_they_were_walked_through(
    data: st.DataObject, expression: Any, policy: dict[str, str], name: str
) -> None:
    schedule = cron_or_none(expression, policy, name)
    first = schedule.first(data.draw(moments_near_changes(name))) if schedule else None
    if schedule is None or first is None:
        return
    until = first + data.draw(st.timedeltas(timedelta(0), timedelta(hours=40)))
    fires = enumerated(schedule, first, until + TICK)
    assert schedule.missed(first, until) == Missed(fires[-1], len(fires))


@settings(max_examples=20, deadline=None)
@given(st.data(), expressions, policies, zone_names)
def test_fires_missed_over_months_are_counted_over_every_clock_change(
    data: st.DataObject, expression: Any, policy: dict[str, str], name: str
) -> None:
    expression[0] = ("7", frozenset([7]))
    schedule = cron_or_none(expression, policy, name)
    first = schedule.first(data.draw(moments_near_changes(name))) if schedule else None
    if schedule is None or first is None:
        return
    until = first + data.draw(st.timedeltas(timedelta(0), timedelta(days=250)))
    fires = enumerated(schedule, first, until + TICK)
    assert schedule.missed(first, until) == Missed(fires[-1], len(fires))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from(["*", "*/2", "0", "5", "1-3", "L", "LW", "5L", "1#2", "SUN", "jan", "2/3", "0,7"]),
        min_size=5,
        max_size=6,
    )
)
def test_whatever_is_accepted_can_be_said_in_words_and_comes_back_from_its_spec(fields: list[str]) -> None:
    try:
        schedule = parse("cron", {"expression": " ".join(fields)}, "Europe/Berlin")
    except InvalidRequest:
        return
    assert schedule.describe().endswith(", Europe/Berlin")
    assert parse("cron", schedule.to_spec(), "Europe/Berlin") == schedule


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="0123456789*/,-LWH#?@SUNMOJA \t\n\0é", max_size=40) | st.text(max_size=300))
def test_any_text_is_either_a_schedule_or_refused_by_field(text: str) -> None:
    try:
        parse("cron", {"expression": text}).describe()
    except InvalidRequest as refused:
        assert refused.field == "expression"


instants = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
periods = st.integers(1_000, 10**13).map(lambda microseconds: timedelta(microseconds=microseconds))


@given(instants, periods, instants)
def test_a_fixed_rate_strictly_rises_and_lies_on_its_anchor(
    anchor: datetime, period: timedelta, moment: datetime
) -> None:
    rate = parse("fixed_rate", {"period": period, "anchor": anchor})
    assert parse("fixed_rate", rate.to_spec()) == rate
    following, first = rate.next_after(moment), rate.first(moment)
    assert following is not None and first is not None
    assert following > moment and first >= moment and first >= anchor
    assert (following - anchor) % period == (first - anchor) % period == timedelta(0)
    assert following == anchor or following - period <= moment
    assert first == anchor or first - period < moment
    assert rate.first(following) == following
    assert rate.next_after(following) == following + period


@given(instants, periods, st.integers(0, 200), st.floats(0, 0.999))
def test_missed_instants_of_a_rate_are_told_as_if_they_were_walked_through(
    first: datetime, period: timedelta, n: int, part: float
) -> None:
    rate = parse("fixed_rate", {"period": period, "anchor": first})
    until = first + period * n + period * part
    fires = enumerated(rate, first, until + TICK)
    assert rate.missed(first, until) == Missed(fires[-1], len(fires))


@given(instants, instants)
def test_once_and_delay_rise_and_come_back_from_their_specs(at: datetime, moment: datetime) -> None:
    once, delay = parse("once", {"at": at}), parse("fixed_delay", {"delay": 5})
    assert parse("once", once.to_spec()) == once
    assert once.next_after(moment) == (at if at > moment else None)
    assert once.first(moment) == (at if at >= moment else None)
    following = delay.next_after(moment)
    assert delay.first(moment) == moment and following == moment + timedelta(seconds=5)


@pytest.mark.parametrize("name", ZONES)
def test_a_daily_timer_fires_as_often_as_the_year_has_days_and_never_twice_in_a_row(name: str) -> None:
    zone = ZoneInfo(name)
    start, end = datetime(2026, 1, 1, tzinfo=zone), datetime(2027, 1, 1, tzinfo=zone)
    for expression in ("30 2 * * *", "0 0 * * *", "30 1 * * *", "45 23 * * *"):
        fires = enumerated(parse("cron", {"expression": expression}, name), start, end)
        assert len(fires) == 365
        assert all(timedelta(hours=22) <= b - a <= timedelta(hours=26) for a, b in pairwise(fires))
