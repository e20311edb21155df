from __future__ import annotations

import sys
import threading

import pytest
from django.test import override_settings

from timers.security.caller import Caller
from timers.security.rate_limits import TooManyRequests, check_rate, count_failure
from timers.security.throttle import Throttle


def caller(key: int = 1, rate: float | None = None) -> Caller:
    return Caller(f"key {key}", 1, key, frozenset({"read"}), None, rate)


def test_so_many_at_once_and_then_one_for_each_token_that_comes() -> None:
    throttle = Throttle()
    assert [throttle.take("a", 10, 3, 0.0) for _ in range(3)] == [0, 0, 0]
    assert throttle.take("a", 10, 3, 0.0) == pytest.approx(0.1)
    assert throttle.take("a", 10, 3, 0.05) == pytest.approx(0.05)
    assert throttle.take("a", 10, 3, 0.1) == 0
    assert throttle.take("a", 10, 3, 0.1) == pytest.approx(0.1)


def test_whoever_waits_as_long_as_was_said_is_let_in() -> None:
    throttle, now = Throttle(), 12345.678
    for _ in range(1_000):
        wait = throttle.take("a", 7.3, 1, now)
        now += wait
        if wait:
            assert throttle.take("a", 7.3, 1, now) == 0


def test_what_was_not_used_is_not_saved_beyond_the_burst() -> None:
    throttle = Throttle()
    throttle.take("a", 10, 3, 0.0)
    assert [throttle.take("a", 10, 3, 3600.0) == 0 for _ in range(4)] == [True, True, True, False]


def test_one_who_asks_too_much_costs_nobody_else() -> None:
    throttle = Throttle()
    for _ in range(100):
        throttle.take("greedy", 10, 3, 0.0)
    assert throttle.take("other", 10, 3, 0.0) == 0


def test_a_clock_reading_that_came_late_does_no_harm() -> None:
    throttle = Throttle()
    throttle.take("a", 10, 1, 5.0)
    assert throttle.take("a", 10, 1, 4.0) > 0


def test_no_more_identities_are_remembered_than_was_said_and_the_busy_ones_stay() -> None:
    throttle = Throttle(most=100)
    for number in range(1_000):
        throttle.take("busy", 0.001, 1, float(number) / 1e6)
        throttle.take(f"passing {number}", 1, 1, float(number) / 1e6)
    assert len(throttle) == 100
    assert throttle.take("busy", 0.001, 1, 0.001) > 0


def test_threads_together_take_no_more_than_there_is() -> None:
    throttle, taken = Throttle(), []
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [
            threading.Thread(target=lambda: taken.extend(1 for _ in range(200) if not throttle.take("a", 1, 500, 0.0)))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert len(taken) == 500


@override_settings(TIMERS={"API_RATE": 10, "API_BURST": 2})
def test_a_caller_is_held_to_the_rate_of_the_settings_or_to_its_own() -> None:
    throttle = Throttle()

    def let_in(who: Caller) -> int:
        for count in range(1_000):
            try:
                check_rate(who, now=0.0, throttle=throttle)
            except TooManyRequests as refused:
                assert refused.retry_after > 0
                return count
        return 1_000

    assert [let_in(caller(1)), let_in(caller(2, rate=3)), let_in(caller(3, rate=0.1))] == [20, 6, 1]


@override_settings(TIMERS={"API_RATE": 0})
def test_a_rate_of_zero_is_no_bound_but_a_key_may_still_have_one() -> None:
    throttle = Throttle()
    for _ in range(1_000):
        check_rate(caller(1), now=0.0, throttle=throttle)
    check_rate(caller(2, rate=1), now=0.0, throttle=throttle)
    check_rate(caller(2, rate=1), now=0.0, throttle=throttle)
    with pytest.raises(TooManyRequests, match="more requests than 1 per second"):
        check_rate(caller(2, rate=1), now=0.0, throttle=throttle)


def fail(address: str, times: int, throttle: Throttle, now: float = 0.0) -> None:
    for _ in range(times):
        count_failure(address, now=now, throttle=throttle)


def test_a_hundred_bad_keys_from_one_address_are_answered_and_the_next_has_to_wait() -> None:
    throttle = Throttle()
    fail("192.0.2.7", 100, throttle)
    with pytest.raises(TooManyRequests) as refused:
        count_failure("192.0.2.7", now=0.0, throttle=throttle)
    assert refused.value.retry_after == pytest.approx(0.6)
    count_failure("192.0.2.8", now=0.0, throttle=throttle)
    count_failure("192.0.2.7", now=0.61, throttle=throttle)


def test_addresses_of_one_ipv6_site_are_counted_together() -> None:
    throttle = Throttle()
    for host in range(1, 101):
        fail(f"2001:db8:0:1::{host:x}", 1, throttle)
    with pytest.raises(TooManyRequests):
        count_failure("2001:db8:0:1:ffff::1", now=0.0, throttle=throttle)
    count_failure("2001:db8:0:2::1", now=0.0, throttle=throttle)
