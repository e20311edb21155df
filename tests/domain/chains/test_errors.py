"""Errors, retries and their delays."""

from __future__ import annotations

from typing import Any

import pytest

from tests.domain.chains.engine import END, Engine, action, later
from timers.domain.chains import Order, advance, events, parse_chain

THREE = {"steps": {"a": action("b"), "b": action("c"), "c": action("z"), "z": END}}


def engine(**steps: Any) -> Engine:
    return Engine(main={"steps": {**steps, "z": END}})


def test_setbacks_are_counted_and_their_delays_grow() -> None:
    at = engine(a=action("z", retry={"min_backoff": 10, "max_backoff": 30, "max_retries": 4}))
    order = at.start()
    waits = []

    for _ in range(4):
        at.run(order, error="busy")
        assert at.place(order) == ("a", "waiting")
        before = at.now
        at.pass_time(order)
        waits.append((at.now - before).total_seconds())
    at.run(order, error="busy")

    assert waits == [10, 20, 30, 30]
    assert at.place(order) == ("a", "failed")
    assert at.order(order).setbacks == 4


def test_retry_takes_the_delays_of_its_list() -> None:
    at = engine(a=action("z", retry=[1, 60], on_exhausted="suspend"))
    order = at.start()

    at.run(order, error="busy")
    assert at.order(order).available_at == later(1)
    at.pass_time(order)
    at.run(order, error="busy")
    assert at.order(order).available_at == later(61)
    at.pass_time(order)
    at.run(order, error="busy")

    assert at.place(order) == ("a", "suspended")


def test_max_setbacks_bounds_the_retries() -> None:
    at = engine(a=action("z", max_setbacks=1))
    order = at.start()
    at.run(order, error="busy")
    at.pass_time(order)

    at.run(order, error="busy")

    assert at.place(order) == ("a", "failed")


def test_wait_that_the_step_names_replaces_the_policys() -> None:
    at = engine(a=action("z", retry=[10]))
    order = at.start()

    at.run(order, error="busy", retry_after=99)

    assert at.order(order).available_at == later(99)


def test_jitter_is_the_same_whenever_it_is_computed() -> None:
    chain = parse_chain({"steps": {"a": action("z", retry={"min_backoff": 100, "jitter": 0.5}), "z": END}})
    orders = [Order(n, "a", "claimed") for n in range(50)]

    first, second = (
        [advance(chain, order, events.StepFailed("x"), later(0)).order.available_at for order in orders]
        for _ in range(2)
    )

    assert first == second
    assert len(set(first)) > 40
    assert all(later(50) <= at <= later(150) for at in first if at is not None)


def test_permanent_error_uses_no_retry() -> None:
    at = engine(a=action("b", retry=[10], on_exhausted={"goto": "b"}), b=action("z"))
    order = at.start()

    at.run(order, error="gone", may_retry=False)

    assert at.place(order) == ("b", "ready")


def test_setbacks_begin_again_at_each_step() -> None:
    at = engine(a=action("b", retry=[1]), b=action("z", retry=[1]))
    order = at.start()
    at.run(order, error="busy")
    at.pass_time(order)

    at.run(order)

    assert at.order(order).setbacks == 0


@pytest.mark.parametrize(
    ("on_error", "place"),
    [("fail", ("a", "failed")), ("suspend", ("a", "suspended")), ({"goto": "b"}, ("b", "ready"))],
)
def test_error_policy_says_what_follows_an_error(on_error: Any, place: tuple[str, str]) -> None:
    at = engine(a=action("z", on_error=on_error), b=action("z")) if on_error == {"goto": "b"} else engine(
        a=action("z", on_error=on_error)
    )  # fmt: skip
    order = at.start()

    at.run(order, error="broken")

    assert at.place(order) == place
