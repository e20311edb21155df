"""Whatever the policies and the instants: none is lost, none is dealt with twice, and the bounds hold."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.listed_schedule import SECOND, START_US, Listed, at
from tests.support.profile import IS_LONG
from timers.domain.policies import MISFIRE_POLICIES, OVERLAP_POLICIES, Policies
from timers.engine.decide import Chosen, Due, Skipped, decide
from timers.schedules.instant import from_microseconds

EXAMPLES = 10_000 if IS_LONG else 450


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


@settings(max_examples=EXAMPLES, deadline=None)
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


@settings(max_examples=EXAMPLES, deadline=None)
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


@settings(max_examples=EXAMPLES // 3, deadline=None)
@given(worlds(), st.lists(st.integers(0, 60), min_size=3, max_size=12))
def test_a_whole_life_deals_with_every_instant_once_whenever_one_looks(
    world: tuple[Due, Policies, int], steps: list[int]
) -> None:
    due, policies, now_us = world
    due = replace(due, fires_left=None)
    count = 0
    seen: set[int] = set()
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
