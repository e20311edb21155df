"""The decision about a due timer, by itself: what becomes of its instants under each policy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.engine.listed_schedule import START_US, Listed, at, seconds
from tests.schedules.work_counter import counted
from timers.domain.policies import MISFIRE_POLICIES, OVERLAP_POLICIES, Policies
from timers.engine.decide import MAX_WALKED, Decision, Due, decide
from timers.schedules import parse
from timers.schedules.excluding import Excluding
from timers.schedules.exclusions import ExclusionCalendar
from timers.schedules.instant import format_instant, to_microseconds
from timers.schedules.zones import zone
from timers.testing import START


def rate(period: float = 1, **due: Any) -> Due:
    """A timer that is due every so many seconds, from START on."""
    schedule = parse("fixed_rate", {"period": period, "anchor": format_instant(START)})
    return Due(schedule, due.pop("next_us", START_US), **due)


def told(decision: Decision) -> dict[str, list[tuple[Any, ...]]]:
    """A decision in short: second and missed_count of each fire, and why another one was skipped."""
    words: dict[str, list[tuple[Any, ...]]] = {
        "fires": [(seconds(us), missed) for us, missed in decision.fires],
        "queued": [(seconds(us), missed) for us, missed in decision.queued],
        "skipped": [(seconds(us), reason, missed) for us, reason, missed in decision.skipped],
    }
    return {word: rows for word, rows in words.items() if rows}


# What becomes of a timer of one second whose instants 0, 1, 2 and 3 have come. grace: the misfire grace in seconds.
TABLE: list[tuple[dict[str, Any], dict[str, Any], dict[str, list[tuple[Any, ...]]]]] = [
    # Nothing open: several that came while nobody fired are missed, also within the grace.
    ({}, {}, {"fires": [(3, 3)]}),
    ({"overlap_policy": "allow"}, {}, {"fires": [(3, 3)]}),
    ({"misfire_policy": "skip"}, {}, {"skipped": [(3, "misfire", 3)]}),
    ({"misfire_policy": "fire_all"}, {}, {"fires": [(0, 0)], "queued": [(1, 0), (2, 0), (3, 0)]}),
    # Nothing open any more, but an execution was open until second 2: at 0 and 1 it was.
    (
        {},
        {"free_since_us": at(2)},
        {"skipped": [(0, "overlap", 0), (1, "overlap", 0)], "fires": [(2, 0)], "queued": [(3, 0)]},
    ),
    (
        {"overlap_policy": "queue"},
        {"free_since_us": at(2.5)},
        {"fires": [(0, 0)], "skipped": [(1, "overlap", 0), (2, "overlap", 0)], "queued": [(3, 0)]},
    ),
    (
        {"overlap_policy": "replace"},
        {"free_since_us": at(2.5)},
        {"skipped": [(0, "replaced", 0), (1, "replaced", 0)], "fires": [(2, 0)], "queued": [(3, 0)]},
    ),
    ({"overlap_policy": "allow"}, {"free_since_us": at(3.1)}, {"fires": [(3, 3)]}),
    # Nobody looked before second 2, whatever was open then.
    ({}, {"free_since_us": at(2), "watched_since_us": at(3)}, {"fires": [(3, 3)]}),
    ({}, {"is_open": True, "watched_since_us": at(2.5)}, {"queued": [(2, 2)], "skipped": [(3, "overlap", 0)]}),
    ({}, {"is_open": True, "watched_since_us": at(3.1)}, {"queued": [(3, 3)]}),
    # This node began to look a moment ago, and another one may have looked before: nothing is missed.
    ({}, {"next_us": at(2), "watched_since_us": at(3)}, {"fires": [(2, 0)], "queued": [(3, 0)]}),
    ({}, {"next_us": at(2), "resumed_us": at(3)}, {"fires": [(3, 1)]}),
    (
        {},
        {"next_us": at(2), "free_since_us": at(2.5), "watched_since_us": at(3)},
        {"skipped": [(2, "overlap", 0)], "fires": [(3, 0)]},
    ),
    (
        {},
        {"is_open": True, "watched_since_us": at(0.5)},
        {"queued": [(0, 0)], "skipped": [(n, "overlap", 0) for n in (1, 2, 3)]},
    ),
    ({"misfire_policy": "skip"}, {"is_open": True, "watched_since_us": at(3.1)}, {"skipped": [(3, "misfire", 3)]}),
    (
        {"misfire_policy": "fire_all", "max_catchup": 3},
        {"is_open": True, "watched_since_us": at(3.1)},
        {"queued": [(0, 0), (1, 0), (2, 0)], "skipped": [(3, "beyond max_catchup (3)", 0)]},
    ),
    (
        {"overlap_policy": "replace"},
        {"is_open": True, "watched_since_us": at(2.5)},
        {"queued": [(2, 2), (3, 0)]},
    ),
    (
        {"overlap_policy": "replace"},
        {"is_open": True, "made_up": 7},
        {"queued": [(3, 0)], "skipped": [(n, "replaced", 0) for n in range(3)]},
    ),
    # What has no other fire, or goes before a backfill, waits for the end.
    (
        {},
        {"is_open": True, "always_waits": True},
        {"queued": [(0, 0)], "skipped": [(n, "overlap", 0) for n in (1, 2, 3)]},
    ),
    # In time, the one before is open.
    ({}, {"is_open": True}, {"skipped": [(n, "overlap", 0) for n in range(4)]}),
    (
        {"overlap_policy": "queue", "max_queued": 3},
        {"is_open": True},
        {"queued": [(0, 0), (1, 0), (2, 0)], "skipped": [(3, "overlap", 0)]},
    ),
    (
        {"overlap_policy": "queue", "max_queued": 3},
        {"is_open": True, "queued": 2},
        {"queued": [(0, 0)], "skipped": [(1, "overlap", 0), (2, "overlap", 0), (3, "overlap", 0)]},
    ),
    (
        {"overlap_policy": "queue", "max_queued": 0},
        {"is_open": True},
        {"skipped": [(n, "overlap", 0) for n in range(4)]},
    ),
    (
        {"overlap_policy": "queue", "max_queued": 1},
        {"is_open": True, "queued": 5},
        {"skipped": [(n, "overlap", 0) for n in range(4)]},
    ),
    (
        {"overlap_policy": "replace"},
        {"is_open": True},
        {"queued": [(3, 0)], "skipped": [(0, "replaced", 0), (1, "replaced", 0), (2, "replaced", 0)]},
    ),
    ({"overlap_policy": "allow"}, {"is_open": True}, {"fires": [(3, 3)]}),
    # Late: one for all, each, none.
    ({"misfire_grace": 1}, {}, {"fires": [(3, 3)]}),
    ({"misfire_grace": 1}, {"is_open": True}, {"skipped": [(3, "overlap", 3)]}),
    ({"misfire_grace": 1, "overlap_policy": "queue"}, {"is_open": True}, {"queued": [(3, 3)]}),
    ({"misfire_grace": 1, "overlap_policy": "replace"}, {"is_open": True}, {"queued": [(3, 3)]}),
    ({"misfire_grace": 1, "misfire_policy": "skip"}, {}, {"skipped": [(3, "misfire", 3)]}),
    ({"misfire_grace": 1, "misfire_policy": "skip"}, {"is_open": True}, {"skipped": [(3, "misfire", 3)]}),
    ({"misfire_grace": 1, "misfire_policy": "fire_all"}, {}, {"fires": [(0, 0)], "queued": [(1, 0), (2, 0), (3, 0)]}),
    (
        {"misfire_grace": 1, "misfire_policy": "fire_all", "overlap_policy": "allow"},
        {},
        {"fires": [(0, 0), (1, 0), (2, 0), (3, 0)]},
    ),
    (
        {"misfire_grace": 1, "misfire_policy": "fire_all", "max_catchup": 2},
        {},
        {"fires": [(0, 0)], "queued": [(1, 0)], "skipped": [(3, "beyond max_catchup (2)", 1)]},
    ),
    (
        {"misfire_grace": 1, "misfire_policy": "fire_all", "max_catchup": 0},
        {},
        {"skipped": [(3, "beyond max_catchup (0)", 3)]},
    ),
    # Too late for any policy.
    ({"max_lateness": 1.5}, {}, {"skipped": [(1, "expired", 1)], "fires": [(2, 0)], "queued": [(3, 0)]}),
    ({"max_lateness": 0}, {}, {"skipped": [(3, "expired", 3)]}),
    (
        {"max_lateness": 1.5, "misfire_grace": 1, "misfire_policy": "fire_all"},
        {},
        {"skipped": [(1, "expired", 1)], "fires": [(2, 0)], "queued": [(3, 0)]},
    ),
    ({"max_lateness": 3.5}, {}, {"fires": [(3, 3)]}),
    # The last fires of a timer: what would come after them is none of its instants.
    ({"misfire_grace": 1, "misfire_policy": "fire_all"}, {"fires_left": 2}, {"fires": [(0, 0)], "queued": [(1, 0)]}),
    (
        {"misfire_grace": 1, "misfire_policy": "fire_all", "max_catchup": 2},
        {"fires_left": 2},
        {"fires": [(0, 0)], "queued": [(1, 0)]},
    ),
    ({"overlap_policy": "queue", "max_queued": 9}, {"is_open": True, "fires_left": 2}, {"queued": [(0, 0), (1, 0)]}),
    (
        {"overlap_policy": "allow", "misfire_policy": "fire_all"},
        {"is_open": True, "fires_left": 3},
        {"fires": [(0, 0), (1, 0), (2, 0)]},
    ),
    ({}, {"is_open": True, "fires_left": 2}, {"skipped": [(n, "overlap", 0) for n in range(4)]}),
    (
        {"overlap_policy": "queue", "max_queued": 1},
        {"is_open": True, "fires_left": 2},
        {"queued": [(0, 0)], "skipped": [(1, "overlap", 0), (2, "overlap", 0), (3, "overlap", 0)]},
    ),
    ({"misfire_grace": 1}, {"fires_left": 1}, {"fires": [(3, 3)]}),
    # The end of a timer.
    ({}, {"is_open": True, "end_us": at(1)}, {"skipped": [(0, "overlap", 0), (1, "overlap", 0)]}),
    ({"misfire_grace": 1}, {"end_us": at(1.5)}, {"fires": [(1, 1)]}),
    ({"max_lateness": 0.5}, {"end_us": at(1.5)}, {"skipped": [(1, "expired", 1)]}),
    ({"max_lateness": 0.5}, {"end_us": at(-1)}, {}),
]


@pytest.mark.parametrize(("policies", "due", "expected"), TABLE)
def test_four_instants_that_have_come_meet_their_policies(
    policies: dict[str, Any], due: dict[str, Any], expected: dict[str, list[tuple[Any, ...]]]
) -> None:
    assert told(decide(rate(**due), Policies(**policies), at(3.2))) == expected


def test_only_a_replace_asks_what_is_open_to_make_way() -> None:
    for policy in OVERLAP_POLICIES:
        decision = decide(rate(is_open=True), Policies(overlap_policy=policy), at(0))
        assert decision.replaces == (policy == "replace")
        assert not decide(rate(), Policies(overlap_policy=policy), at(0)).replaces


def test_an_instant_ahead_is_decided_as_if_it_had_come() -> None:
    decision = decide(rate(), Policies(), at(-1))
    assert (told(decision), decision.next_us) == ({"fires": [(0, 0)]}, at(1))


@pytest.mark.parametrize(
    ("late", "reason"), [(60, "overlap"), (60.000001, "misfire")], ids=["at the grace", "a microsecond beyond"]
)
def test_the_grace_ends_where_it_says(late: float, reason: str) -> None:
    policies = Policies(misfire_policy="skip", misfire_grace=60)
    assert decide(rate(is_open=True), policies, at(late)).skipped[0].reason == reason


@pytest.mark.parametrize("policies", [Policies(max_lateness=30), Policies(misfire_policy="skip")])
def test_a_delay_whose_run_is_too_late_counts_from_now(policies: Policies) -> None:
    schedule = parse("fixed_delay", {"delay": 5})
    due = Due(schedule, START_US, waits_for_end=True, follows_runs=True)
    decision = decide(due, policies, at(600))
    assert len(decision.skipped) == 1
    assert (decision.fires, decision.next_us, decision.finished) == ([], at(605), False)


def test_a_delay_that_fires_has_no_next_instant_until_it_ends() -> None:
    due = Due(parse("fixed_delay", {"delay": 5}), START_US, waits_for_end=True, follows_runs=True)
    decision = decide(due, Policies(), at(600))
    assert (told(decision), decision.next_us, decision.finished) == ({"fires": [(0, 0)]}, None, False)


@pytest.mark.parametrize("policy", MISFIRE_POLICIES)
def test_what_shall_be_committed_fires_once_however_late(policy: str) -> None:
    decision = decide(rate(waits_for_end=True), Policies(misfire_policy=policy), at(600))
    if policy == "skip":
        assert (told(decision), decision.next_us) == ({"skipped": [(600, "misfire", 600)]}, at(601))
    else:
        assert (told(decision), decision.next_us, decision.finished) == ({"fires": [(600, 600)]}, None, False)


def test_excluded_instants_have_one_row_and_do_not_count_as_missed() -> None:
    due = Due(Listed(tuple(range(100)), frozenset(range(10, 90))), START_US)
    decision = decide(due, Policies(misfire_grace=1), at(95))
    assert told(decision) == {"fires": [(95, 15)], "skipped": [(89, "excluded by a list", 79)]}


def test_excluded_instants_that_are_too_late_as_well_have_their_row() -> None:
    due = Due(Listed(tuple(range(100)), frozenset(range(20))), START_US)
    decision = decide(due, Policies(max_lateness=10), at(95.5))
    assert told(decision) == {
        "skipped": [(19, "excluded by a list", 19), (85, "expired", 65)],
        "fires": [(95, 9)],
    }


@pytest.mark.parametrize("left_out", [range(0), range(5000), range(900, 1100), range(1000, 1001)])
def test_very_many_instants_within_the_grace_take_a_bounded_number_of_rows(left_out: range) -> None:
    due = Due(Listed(tuple(range(5000)), frozenset(left_out)), START_US, is_open=True)
    decision = decide(due, Policies(misfire_grace=10_000), at(4999.5))
    assert len(decision.skipped) <= MAX_WALKED + 2
    assert len(decision.skipped) + sum(row.missed_count for row in decision.skipped) == 5000
    assert decision.finished


@pytest.mark.parametrize(("max_catchup", "beyond"), [(1000, []), (15, [5])])
def test_fire_all_passes_over_excluded_instants(max_catchup: int, beyond: list[int]) -> None:
    weekend = ExclusionCalendar.parse("weekend", [{"weekdays": ["sat", "sun"]}])
    friday = datetime(2026, 11, 20, 23, 59, 50, tzinfo=UTC)
    every_second = parse("fixed_rate", {"period": 1, "anchor": format_instant(friday)})
    due = Due(Excluding(every_second, (weekend,), "suppress", zone("UTC")), to_microseconds(friday))
    policies = Policies(misfire_policy="fire_all", misfire_grace=1, overlap_policy="allow", max_catchup=max_catchup)
    monday_us = to_microseconds(friday + timedelta(days=2, seconds=20))
    _, decision = counted(lambda: decide(due, policies, monday_us), most=20_000)
    expected = [friday + timedelta(seconds=n) for n in range(10)]
    expected += [datetime(2026, 11, 23, 0, 0, n, tzinfo=UTC) for n in range(11)]
    assert [us for us, _ in decision.fires] == [to_microseconds(each) for each in expected[:max_catchup]]
    weekend_row, *rest = decision.skipped
    assert weekend_row.missed_count == 2 * 86_400 - 1
    assert [each.missed_count for each in rest] == beyond
