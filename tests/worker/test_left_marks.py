"""A look at very many rows that are left to other nodes is put off; what is new is found all the same."""

from __future__ import annotations

from timers.worker.left_marks import MAX_REST_SECONDS, RECENT_US, LeftMarks

PART = (1, 0, 0)
NOW_US = 10_000_000


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_quick_look_leaves_no_mark() -> None:
    marks = LeftMarks(Clock())
    marks.set(PART, NOW_US, 0.01)
    assert marks.over({}) == {}
    assert marks.above(PART, None) is None


def test_long_look_is_not_repeated_for_twenty_times_as_long() -> None:
    clock = Clock()
    marks = LeftMarks(clock)
    marks.set(PART, NOW_US, 0.5)
    assert marks.over({}) == {PART: NOW_US - RECENT_US}
    clock.now = 9.9
    assert marks.over({(2, 0, 0): 5}) == {PART: NOW_US - RECENT_US, (2, 0, 0): 5}
    clock.now = 10.0
    assert marks.over({}) == {}


def test_higher_mark_counts() -> None:
    marks = LeftMarks(Clock())
    marks.set(PART, NOW_US, 0.5)
    assert marks.above(PART, NOW_US) == NOW_US
    assert marks.above(PART, 1) == NOW_US - RECENT_US
    assert marks.over({PART: NOW_US}) == {PART: NOW_US}


def test_ready_executions_of_a_group_rest_a_minute_at_most() -> None:
    clock = Clock()
    marks = LeftMarks(clock)
    marks.rest(1, 30.0)
    clock.now = MAX_REST_SECONDS - 0.1
    assert marks.is_resting(1)
    assert not marks.is_resting(2)
    clock.now = MAX_REST_SECONDS
    assert not marks.is_resting(1)
