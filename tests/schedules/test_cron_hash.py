"""H, as in Jenkins: a value that the hash of a seed decides (hudson.scheduler.BaseParser, and its help for "H")."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from timers.exceptions import InvalidRequest
from timers.schedules import parse
from timers.schedules.cron import Cron
from timers.schedules.day_rules import Numbers, Weekdays
from timers.schedules.times_of_day import ClockTimes

SEEDS = [f"group/timer-{n}" for n in range(300)]


def times(expression: str, seed: str) -> ClockTimes:
    schedule = parse("cron", {"expression": expression, "seed": seed})
    assert isinstance(schedule, Cron) and isinstance(schedule.walls.times, ClockTimes)
    return schedule.walls.times


def days(expression: str, seed: str) -> frozenset[int]:
    schedule = parse("cron", {"expression": expression, "seed": seed})
    assert isinstance(schedule, Cron)
    ((term,),) = [terms for terms in (schedule.walls.days.of_month, schedule.walls.days.of_week) if terms]
    assert isinstance(term, (Numbers, Weekdays))
    return term.weekdays if isinstance(term, Weekdays) else term.numbers


def test_a_seed_always_gives_the_same_values_and_seeds_spread_over_all() -> None:
    assert times("H H * * *", "billing/nightly") == times("H H * * *", "billing/nightly")
    assert {times("H * * * *", seed).minutes[0] for seed in SEEDS} == set(range(60))
    assert {times("H H * * *", seed).hours[0] for seed in SEEDS} == set(range(24))
    assert max(Counter(times("H H * * *", seed).minutes[0] for seed in SEEDS).values()) < 20


def test_the_fields_of_one_expression_are_hashed_apart() -> None:
    both = [times("H H(0-23) * * *", seed) for seed in SEEDS]
    assert len({(t.minutes, t.hours) for t in both}) > 250
    assert sum(t.minutes[0] == t.hours[0] for t in both) < 20


def test_a_step_begins_somewhere_below_itself_and_keeps_its_distance() -> None:
    starts = set()
    for seed in SEEDS:
        minutes = times("H/15 * * * *", seed).minutes
        assert minutes == tuple(range(minutes[0], 60, 15)) and minutes[0] < 15
        starts.add(minutes[0])
    assert starts == set(range(15))


def test_a_range_bounds_the_value_and_its_steps() -> None:
    for seed in SEEDS:
        assert times("H(0-29)/10 * * * *", seed).minutes[-1] <= 29
        assert len(times("H(0-29)/10 * * * *", seed).minutes) == 3
        assert 8 <= times("H H(8-15) * * *", seed).hours[0] <= 15
        assert times("H H(8-15)/2 * * 1-5", seed).hours in ((8, 10, 12, 14), (9, 11, 13, 15))


def test_no_day_is_chosen_that_some_month_has_not() -> None:
    assert {max(days("0 0 H * *", seed)) for seed in SEEDS} == set(range(1, 29))
    assert max(max(days("0 0 H/3 * *", seed)) for seed in SEEDS) == 28
    assert {day for seed in SEEDS for day in days("0 0 * * H", seed)} == set(range(7))


@pytest.mark.parametrize(
    ("alias", "means"),
    [
        ("@hourly H", "H * * * *"),
        ("@daily h", "H H * * *"),
        ("@midnight H", "H H(0-2) * * *"),
        ("@weekly H", "H H * * H"),
        ("@monthly H", "H H H * *"),
        ("@yearly H", "H H H H *"),
        ("@annually H", "H H H H *"),
    ],
)
def test_an_alias_with_h_is_hashed_as_jenkins_hashes_it(alias: str, means: str) -> None:
    hashed, written = (parse("cron", {"expression": text, "seed": "a/b"}) for text in (alias, means))
    assert isinstance(hashed, Cron) and isinstance(written, Cron)
    assert hashed.walls == written.walls
    assert hashed.describe() == written.describe()


def test_the_seed_stays_in_the_spec_of_what_needs_it_only() -> None:
    assert parse("cron", {"expression": "H 2 * * *", "seed": "a/b"}).to_spec() == {
        "expression": "H 2 * * *", "seed": "a/b",
    }  # fmt: skip
    assert parse("cron", {"expression": "0 2 * * THU", "seed": "a/b"}).to_spec() == {"expression": "0 2 * * THU"}
    assert parse("cron", {"expression": "@daily", "seed": "a/b"}) == parse("cron", {"expression": "@daily"})
    assert parse("cron", {"expression": "H 2 * * *", "seed": "a"}) != parse(
        "cron", {"expression": "H 2 * * *", "seed": "b"}
    )


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("H(0-60) * * * *", r"'H\(0-60\)' as minute .0 is the first, 59 the last"),
        ("H(9-5) * * * *", r"a range must rise.*did you mean H\(5-9\)\?"),
        ("H/0 * * * *", "a step is at least 1"),
        ("H/61 * * * *", "a step within 0-59 is at most 60"),
        ("H(0-9)/11 * * * *", "a step within 0-9 is at most 10"),
        ("H- * * * *", r"H is written as H, H/15, H\(0-29\) or H\(0-29\)/10"),
        ("0 0 0 1 1 * H", "a year is not left to chance"),
    ],
)
def test_an_h_that_makes_no_sense_is_refused(expression: str, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason) as refused:
        parse("cron", {"expression": expression, "seed": "a"})
    assert refused.value.field == "expression"


def test_h_without_a_seed_is_refused_in_words() -> None:
    with pytest.raises(InvalidRequest, match="H is a value that the hash of a seed decides, and no seed is given"):
        parse("cron", {"expression": "H 2 * * *"})


@pytest.mark.parametrize("seed", ["", 5, ["a"], "x" * 1_025, "\ud800"])
def test_a_seed_that_is_no_text_is_refused(seed: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse("cron", {"expression": "H 2 * * *", "seed": seed})
    assert refused.value.field == "seed"
