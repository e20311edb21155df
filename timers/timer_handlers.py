"""The service's own handlers."""

from __future__ import annotations

from timers.handlers import Fire, handler


@handler("timerbench.noop")
def noop(fire: Fire) -> None:
    """What `manage.py timerbench` has run: nothing."""
