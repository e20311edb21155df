from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timers.domain.rates import Arrivals, Rate
from timers.exceptions import InvalidRequest

SECOND = 1_000_000


@pytest.mark.parametrize(
    ("text", "told", "interval_us", "burst"),
    [
        ("50/s", "50/s", 20_000, 25),
        ("100/min", "100/min", 600_000, 1),
        (" 1000 / h ", "1000/h", 3_600_000, 1),
        ("10/30s", "10/30s", 3_000_000, 1),
        ("3/s", "3/s", 333_334, 1),
        ("1/1d", "1/d", 86_400 * SECOND, 1),
        ("10000/s", "10000/s", 100, 500),
    ],
)
def test_a_rate_is_a_count_per_period(text: str, told: str, interval_us: int, burst: int) -> None:
    rate = Rate.parse(text, "max_rate")
    assert (str(rate), rate.interval_us, rate.burst(500)) == (told, interval_us, burst)


@pytest.mark.parametrize(
    "value",
    [
        "", "50", "/s", "50/", "50/week", "-1/s", "0/s", "1/0s", "1.5/s", "50/s/s", "10001/s", "1/32d", "9999999999/s",
        50, None, True, ["50/s"], "\u0665/s", "1e3/s",
    ],
)  # fmt: skip
def test_what_is_no_rate_is_refused(value: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"^max_rate: must"):
        Rate.parse(value, "max_rate")


@pytest.mark.parametrize("value", ["0/s", "0/min"])
def test_a_rate_of_nothing_names_the_remedy(value: str) -> None:
    with pytest.raises(InvalidRequest, match="to run nothing, pause the group"):
        Rate.parse(value, "max_rate")


def test_after_a_quiet_time_a_burst_starts_at_once_and_the_rest_at_the_rate() -> None:
    arrivals = Arrivals(Rate.parse("4/s", "max_rate"), burst=4)
    starts = [arrivals.take(100 * SECOND) - 100 * SECOND for _ in range(8)]
    assert starts == [0, 0, 0, 0, 250_000, 500_000, 750_000, SECOND]
    assert arrivals.next_us(100 * SECOND) == 101 * SECOND + 250_000


def test_room_is_how_many_may_start_until_an_instant() -> None:
    arrivals = Arrivals(Rate.parse("4/s", "max_rate"), burst=4)
    assert arrivals.room(0, 0) == 4
    assert arrivals.room(0, SECOND) == 8
    for _ in range(8):
        arrivals.take(0)
    assert arrivals.room(0, SECOND) == 0
    assert arrivals.room(0, SECOND + 250_000) == 1


@given(
    st.sampled_from(["50/s", "100/min", "3/s", "7/2s", "999/s"]),
    st.lists(st.tuples(st.integers(0, 3 * SECOND), st.integers(1, 60)), max_size=20),
)
def test_no_span_of_time_has_more_than_the_rate_and_one_burst(text: str, looks: list[tuple[int, int]]) -> None:
    rate = Rate.parse(text, "max_rate")
    arrivals = Arrivals(rate, rate.burst(500))
    now_us, starts = 0, list[int]()
    for wait_us, wanted in looks:
        now_us += wait_us
        horizon_us = now_us + SECOND
        for _ in range(min(wanted, arrivals.room(now_us, horizon_us))):
            start_us = arrivals.take(now_us)
            assert now_us <= start_us <= horizon_us
            starts.append(start_us)
    assert starts == sorted(starts)
    period_us = rate.seconds * SECOND
    for number, first_us in enumerate(starts):
        within = sum(first_us <= start_us < first_us + period_us for start_us in starts[number:])
        assert within <= rate.count + arrivals.burst
