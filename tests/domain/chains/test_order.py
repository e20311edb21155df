"""The value of an order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from timers.domain.chains import Branch, Order


def test_copy_with_changes_has_them_and_all_other_values() -> None:
    order = Order("x", "a", variables={"n": 1}, visits={"a": 2}, turn=3, branch=Branch("fork", "left"), setbacks=1)
    assert order.but(step="b", turn=4) == replace(order, step="b", turn=4)
    assert order.step == "a"


def test_copy_with_a_field_that_orders_do_not_have_is_refused() -> None:
    with pytest.raises(AttributeError):
        Order("x", "a").but(place="b")
