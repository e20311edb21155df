from __future__ import annotations

from typing import Any

import pytest

from timers.domain.limits import MAX_CONCURRENCY, NO_LIMITS, Limits, check_concurrency
from timers.exceptions import InvalidRequest


def test_a_group_without_limits_is_false() -> None:
    assert not NO_LIMITS
    assert not Limits()
    assert Limits(max_concurrency=1)


@pytest.mark.parametrize("value", [1, 5, MAX_CONCURRENCY])
def test_a_whole_number_is_a_limit(value: int) -> None:
    assert check_concurrency("max_concurrency", value) == value


@pytest.mark.parametrize("value", [0, -1, MAX_CONCURRENCY + 1, 1.5, True, "5", [1]])
def test_what_is_no_limit_is_refused_with_the_remedy(value: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"max_concurrency: must be a whole number from 1 .* pause the group"):
        check_concurrency("max_concurrency", value)
