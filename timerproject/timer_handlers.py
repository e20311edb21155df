"""The service's own handlers."""

from __future__ import annotations

import time

from timers.handlers import Fire, handler


@handler("timerbench.noop")
def noop(fire: Fire) -> None:
    """What `manage.py timerbench` has run: nothing."""


@handler("timerbench.sleep")
def sleep(fire: Fire) -> None:
    """Sleep for as many seconds as the payload says; for `timerbench burst`."""
    time.sleep(fire.payload)
