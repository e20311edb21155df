"""Virtual time: the database clock of this session stands still until a test moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db import connection

from timers.schedules.instant import to_microseconds

START = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
"""A Monday noon."""


class VirtualTime:
    """What timers_now() shows in the test's session."""

    def __init__(self, start: datetime = START) -> None:
        self.now = start
        self.show()

    @property
    def us(self) -> int:
        """The present instant in microseconds since 1970 UTC."""
        return to_microseconds(self.now)

    def set(self, moment: datetime) -> None:
        """Go to an instant."""
        self.now = moment
        self.show()

    def advance(self, seconds: float = 0, *, days: float = 0) -> None:
        """Let time pass."""
        self.set(self.now + timedelta(days=days, seconds=seconds))

    def show(self) -> None:
        """Set the clock of the session of the calling thread."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('timers.virtual_now', %s, false)", [self.now.isoformat()])
