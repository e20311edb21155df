"""Session settings: those that the code relies on, and guards that a thread sets on its own sessions.

Other values from a role, a database or the server's configuration would change the meaning of statements. All other
settings are left unchanged; the doctor reports those that matter.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Final

ISOLATION: Final = "default_transaction_isolation"

PINNED: Final[Mapping[str, str]] = {
    # psycopg reads timestamps and intervals only in these formats. (Django sets TimeZone and client_encoding.)
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    # Seconds are returned as floats; fewer digits would round them.
    "extra_float_digits": "1",
    # Arrays are sent as text in which NULL is a null element.
    "array_nulls": "on",
    "standard_conforming_strings": "on",
    # Each statement must see what others have committed: a claim waits for a lock and then reads the row again.
    ISOLATION: "read committed",
    # A warning reports a commit that was not replicated.
    "client_min_messages": "notice",
}
TRACKED: Final = ("DateStyle", "standard_conforming_strings")
"""Settings that a pooler restores for each client, because the server reports every change of them."""


class _Guards(threading.local):
    settings: Mapping[str, str] = {}
    commit_seconds: float | None = None


_guards: Final = _Guards()


def guard_sessions(settings: Mapping[str, str], *, commit_seconds: float | None = None) -> None:
    """Set these on each new connection of the calling thread from now on.

    `commit_seconds` is the time limit of a COMMIT; then it is cancelled, and its outcome may be unknown.
    """
    _guards.settings, _guards.commit_seconds = settings, commit_seconds


def guards() -> Mapping[str, str]:
    """Return the guards of the calling thread."""
    return _guards.settings


def commit_seconds() -> float | None:
    """Return the time limit of commits of the calling thread, in seconds."""
    return _guards.commit_seconds
