"""Waiting for what happens in another thread."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(ask: Callable[[], object], within: float = 20) -> None:
    """Ask again and again until it is true."""
    deadline = time.monotonic() + within
    while not ask():
        assert time.monotonic() < deadline
        time.sleep(0.02)
