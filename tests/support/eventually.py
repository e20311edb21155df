"""Wait for a condition that another thread or process brings about."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def eventually(condition: Callable[[], Value], *, within: float = 10, every: float = 0.005) -> Value:
    """The first true value of the condition; AssertionError when there is none `within` so many seconds."""
    deadline = time.monotonic() + within
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{condition} did not come true within {within:g} s (last: {value!r})"
        time.sleep(every)
    return value
