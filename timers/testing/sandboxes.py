"""Sandboxes in tests: run through a time range of a group's own clock, with a stepper or with real workers."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from timers.control.sandbox import Advance, advance_clock

LOOK_EVERY: Final = 0.02
"""Seconds between moves of the clock."""


def live_through(
    name: str,
    by: float | str | timedelta | None = None,
    *,
    to: datetime | str | None = None,
    work: Callable[[], object] | None = None,
    patience: float = 30,
) -> datetime:
    """Advance a sandbox's clock through all fires on the way, each of which has ended by then. Return the group's time.

    Args:
        name: name of the sandbox.
        by: how far to advance; either this or `to`.
        to: the instant to reach.
        work: called between two moves, repeatedly until everything due is done: a stepper's until_idle. None: real
            workers do it, and are waited for.
        patience: seconds without any progress before a TimeoutError.

    Raises:
        TimeoutError: nothing moved for `patience` seconds.
    """
    at = advance_clock(name, by, to=to)
    since = time.monotonic()
    while not at.arrived:
        if work is None:
            time.sleep(LOOK_EVERY)
        else:
            work()
        before, at = at, advance_clock(name, to=at.target)
        if at != before:
            since = time.monotonic()
        elif time.monotonic() - since > patience:
            raise TimeoutError(_stuck(name, at, patience))
    return at.now


def _stuck(name: str, at: Advance, patience: float) -> str:
    return (
        f"the clock of group {name!r} has stood at {at.now.isoformat()} for {patience:g} s: nobody ends what is due or"
        f" running there ({at.busy}). Does a node serve the group?"
    )
