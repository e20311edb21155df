"""The service's own handlers."""

from __future__ import annotations

import time

from timers.handlers import Fire, handler


@handler("timerbench.noop")
def noop(fire: Fire) -> None:
    """Do nothing; the handler of `manage.py timerbench`."""


@handler("timerbench.sleep")
def sleep(fire: Fire) -> None:
    """Sleep for the number of seconds in the payload; for `timerbench burst`."""
    time.sleep(fire.payload)
