"""The decision about a due timer, by itself: no instant is lost, none is dealt with twice, and the bounds hold."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timers.lifecycle.decide import MAX_WALKED, Chosen, Decision, Due, Skipped, decide
from timers.policies import MISFIRE_POLICIES, OVERLAP_POLICIES, Policies
from timers.schedules import Missed, Schedule, parse
from timers.schedules.instant import format_instant, from_microseconds, to_microseconds
from timers.testing import START

SECOND = 1_000_000
START_US = to_microseconds(START)


def at(second: float) -> int:
    """Seconds after START, in microseconds."""
    return START_US + round(second * SECOND)


def seconds(instant_us: int) -> float:
    return (instant_us - START_US) / SECOND


@dataclass(frozen=True, slots=True)
class Listed(Schedule):
    """The instants of a list (seconds after START), some of which are excluded."""

    kind: ClassVar[str] = "listed"

    instants: tuple[int, ...]
    left_out: frozenset[int] = frozenset()

    @classmethod
    def parse(cls, spec: Mapping[str, Any], time_zone: str) -> Self:
        return cls(tuple(spec["instants"]), frozenset(spec["left_out"]))

    def first(self, not_before: datetime) -> datetime | None:
        return self.next_after(not_before - timedelta(microseconds=1))

    def next_after(self, moment: datetime) -> datetime | None:
        found = bisect_right(self._us(), to_microseconds(moment))
        return from_microseconds(self._us()[found]) if found < len(self.instants) else None

    def missed(self, first: datetime, until: datetime) -> Missed | None:
        return self._among(first, until, left_out=False)

    def reason(self, instant: datetime) -> str | None:
        return "excluded by a list" if seconds(to_microseconds(instant)) in self.left_out else None

    def excluded(self, first: datetime, until: datetime) -> Missed | None:
        return self._among(first, until, left_out=True)

    def describe(self) -> str:
        return f"at seconds {', '.join(map(str, self.instants))}"

    def to_spec(self) -> dict[str, Any]:
        return {"instants": list(self.instants), "left_out": sorted(self.left_out)}

    def _us(self) -> list[int]:
        return [at(instant) for instant in self.instants]

    def _among(self, first: datetime, until: datetime, *, left_out: bool) -> Missed | None:
        low = bisect_left(self._us(), to_microseconds(first))
        high = max(bisect_right(self._us(), to_microseconds(until)), low + 1)
        found = [instant for instant in self.instants[low:high] if (instant in self.left_out) == left_out]
        return Missed(from_microseconds(at(found[-1])), len(found)) if found else None


def rate(period: float = 1, **due: Any) -> Due:
    """A timer that is due every so many seconds, from START on."""
    schedule = parse("fixed_rate", {"period": period, "anchor": format_instant(START)})
    return Due(schedule, START_US, **due)


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


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Due, Policies, int]:
    """A timer with some instants behind and some ahead, under any policies."""
    gaps = draw(st.lists(st.integers(1, 40), min_size=1, max_size=40))
    instants = [sum(gaps[:n]) - gaps[0] for n in range(1, len(gaps) + 1)]
    left_out = draw(st.one_of(st.just(set()), st.sets(st.sampled_from(instants))))
    policies = Policies(
        misfire_policy=draw(st.sampled_from(MISFIRE_POLICIES)),
        overlap_policy=draw(st.sampled_from(OVERLAP_POLICIES)),
        misfire_grace=draw(st.sampled_from([0, 30, 10_000])),
        max_lateness=draw(st.sampled_from([None, None, 0, 45])),
        max_catchup=draw(st.sampled_from([0, 1, 3, 1000])),
        max_queued=draw(st.sampled_from([0, 1, 3, 1000])),
    )
    is_open = draw(st.booleans())
    due = Due(
        Listed(tuple(instants), frozenset(left_out)),
        START_US,
        is_open=is_open,
        queued=draw(st.integers(0, 2)) if is_open else 0,
        made_up=draw(st.integers(0, 2)) if is_open else 0,
        free_since_us=draw(st.one_of(st.none(), st.integers(-5, instants[-1] + 10).map(at))),
        watched_since_us=draw(st.one_of(st.none(), st.integers(-5, instants[-1] + 10).map(at))),
        end_us=draw(st.one_of(st.none(), st.integers(0, instants[-1] + 10).map(at))),
        fires_left=draw(st.one_of(st.none(), st.integers(1, 5))),
    )
    return due, policies, at(draw(st.integers(-2, instants[-1] + 100)) + draw(st.sampled_from([0, 0.5])))


def occurrences(due: Due) -> list[int]:
    """The instants that the timer has at all."""
    assert isinstance(due.schedule, Listed)
    return [at(instant) for instant in due.schedule.instants if due.end_us is None or at(instant) <= due.end_us]


@settings(max_examples=1500, deadline=None)
@given(worlds())
def test_each_instant_that_has_come_is_dealt_with_once(world: tuple[Due, Policies, int]) -> None:
    due, policies, now_us = world
    decision = decide(due, policies, now_us)
    rows: list[Chosen | Skipped] = [*decision.fires, *decision.queued, *decision.skipped]
    told_of = [row.instant_us for row in rows]
    assert len(set(told_of)) == len(told_of), "an instant has one row"
    taken = [*decision.fires, *decision.queued]
    assert taken == sorted(taken), "the oldest first"
    ended_by_count = due.fires_left is not None and len(taken) >= due.fires_left
    # An instant ahead of its time is dealt with when it is the next one.
    come = [us for us in occurrences(due) if us <= now_us or us == due.next_us]
    assert set(told_of) <= set(come)
    excluded = {us for us in come if due.schedule.reason(from_microseconds(us)) is not None}
    assert not excluded & {row.instant_us for row in taken}
    following = [us for us in occurrences(due) if decision.next_us is None or us < decision.next_us]
    if ended_by_count:
        assert decision.finished
        assert len(rows) + sum(row.missed_count for row in rows) <= len(come)
    else:
        dealt_with = [us for us in come if us in following]
        assert len(rows) + sum(row.missed_count for row in rows) == len(dealt_with)
        assert len(dealt_with) == len(come)
    if decision.next_us is not None:
        assert decision.next_us > max([due.next_us, *told_of])
        assert decision.next_us in occurrences(due)
    assert decision.finished == (decision.next_us is None)


@settings(max_examples=1500, deadline=None)
@given(worlds())
def test_the_bounds_of_the_policies_hold(world: tuple[Due, Policies, int]) -> None:
    due, policies, now_us = world
    decision = decide(due, policies, now_us)
    taken = [*decision.fires, *decision.queued]
    if due.fires_left is not None:
        assert len(taken) <= due.fires_left
    if due.end_us is not None:
        assert all(us <= due.end_us for us, _ in taken)
        assert decision.next_us is None or decision.next_us <= due.end_us
    if policies.max_lateness is not None:
        assert all(now_us - us <= policies.max_lateness * SECOND for us, _ in taken)
    if policies.overlap_policy != "allow":
        assert len(decision.fires) <= (0 if due.is_open else 1), "never two at once"
    due = replace(due, free_since_us=None, watched_since_us=None)
    decision = decide(due, policies, now_us)
    taken = [*decision.fires, *decision.queued]
    late = now_us - due.next_us > policies.misfire_grace * SECOND
    if late and policies.misfire_policy == "fire_all" and policies.max_lateness is None:
        assert len(taken) <= policies.max_catchup
    if late and policies.misfire_policy == "skip" and policies.max_lateness is None:
        assert all(now_us - us <= policies.misfire_grace * SECOND for us, _ in taken)
    if policies.misfire_policy == "fire_once" and late and policies.max_lateness is None:
        assert len(taken) <= 1
    if due.is_open and policies.overlap_policy == "queue":
        assert not decision.queued or due.queued + len(decision.queued) <= policies.max_queued
    if due.is_open and policies.overlap_policy == "skip":
        assert not taken


@settings(max_examples=500, deadline=None)
@given(worlds(), st.lists(st.integers(0, 60), min_size=3, max_size=12))
def test_a_whole_life_deals_with_every_instant_once_whenever_one_looks(
    world: tuple[Due, Policies, int], steps: list[int]
) -> None:
    due, policies, now_us = world
    due = replace(due, fires_left=None)
    count, seen = 0, set()
    alive = True
    for step in [*steps, 10_000, *[0] * 45]:
        now_us += step * SECOND
        while alive and due.next_us <= now_us:
            decision = decide(due, policies, now_us)
            rows: list[Chosen | Skipped] = [*decision.fires, *decision.queued, *decision.skipped]
            assert not seen & {row.instant_us for row in rows}
            seen |= {row.instant_us for row in rows}
            count += len(rows) + sum(row.missed_count for row in rows)
            alive = decision.next_us is not None
            due = replace(due, next_us=decision.next_us or 0)
    assert not alive
    assert count == len(occurrences(due))
