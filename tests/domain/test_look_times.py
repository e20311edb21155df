"""Look times of workers: evenly spaced, never further apart than the poll interval."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timers.domain.look_times import LEAST, seconds_to_next_look

START_US = 1_790_000_000_000_000


def looks_of(position: int, workers: int, poll_interval: float, count: int) -> list[float]:
    """The instants (seconds from the start) of a worker's next looks."""
    found, now = [], 0.0
    for _ in range(count):
        now += seconds_to_next_look(START_US + round(now * 1_000_000), poll_interval, position, workers)
        found.append(now)
    return found


@given(
    st.integers(0, 2**60),
    st.floats(0.05, 60),
    st.integers(1, 64).flatmap(lambda n: st.tuples(st.integers(0, n - 1), st.just(n))),
)
def test_next_look_comes_within_one_poll_interval(now_us: int, poll: float, place: tuple[int, int]) -> None:
    wait = seconds_to_next_look(now_us, poll, *place)
    assert LEAST * poll < wait <= poll * (1 + 1e-9)


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
def test_looks_of_all_workers_are_evenly_spaced(workers: int) -> None:
    looks = sorted(look for position in range(workers) for look in looks_of(position, workers, 1.0, 50))
    gaps = [later - earlier for earlier, later in pairwise(looks[workers : 40 * workers])]
    assert max(gaps) - min(gaps) < 0.001


@pytest.mark.parametrize("period", [1.0, 2.0, 5.0, 0.5])
def test_timers_of_a_regular_period_come_into_sight_of_all_workers_alike(period: float) -> None:
    workers = 3
    looks = sorted((look, position) for position in range(workers) for look in looks_of(position, workers, 1.0, 1200))
    first_seen: Counter[int] = Counter()
    number, end = 1, looks[-workers][0]
    for look, position in looks:
        while number * period <= min(look, end):
            first_seen[position] += 1
            number += 1
    assert max(first_seen.values()) <= 1.1 * min(first_seen.values())
