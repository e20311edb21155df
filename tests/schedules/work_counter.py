"""Work, counted instead of timed: how many lines of the schedules' code a call runs, the same on every machine.

What C does by itself (a slice, a sum over a range) counts as one line; all that grows with a rule, year by year, day by
day or window by window, is counted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

Result = TypeVar("Result")

MOST_TO_PARSE = 40_000
"""Lines: less than 10 ms of CPU."""
MOST_TO_ASK = 10_000
"""Lines: the first time that a schedule is asked; a rule that matches next to nothing looks through 40 years."""
MOST_TO_COUNT = 300_000
"""Lines, for what was missed in two years: 15 to 40 ms of CPU for most schedules, and 100 ms for a rule that has other
times on every day."""
MOST_WHILE_LOCKED = 100_000
"""Lines, for one decision about a timer whose row is locked: some 20 ms of CPU."""


def counted(work: Callable[[], Result], *, most: int = 10_000_000) -> tuple[int, Result]:
    """Run `work`; returns the lines that it ran of this project's schedules, and its result.

    Raises AssertionError as soon as there are more than `most`, so that no test waits for what is without end.
    """
    lines = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal lines
        if event == "call":
            return trace if "/timers/schedules/" in frame.f_code.co_filename else None
        if event == "line":
            lines += 1
            if lines > most:
                raise AssertionError(f"more than {most:,} lines of work")
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        result = work()
    finally:
        sys.settrace(before)
    return lines, result
