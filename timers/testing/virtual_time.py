"""Virtual time: the database clock of one session is stopped until a test moves it."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from django.db import DatabaseError

from timers.database import connection
from timers.schedules.instant import parse_instant, to_microseconds

START = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
"""A Monday noon."""


class VirtualTime:
    """The value of timers_now() in the session of the thread that created it; other sessions see real time.

    As a context manager it restores the session's real clock at the end. A session setting made in a transaction is
    undone by that transaction's rollback, so in a Django TestCase it ends with the test in any case.
    """

    def __init__(self, start: datetime | str = START) -> None:
        """Stop the clock. `start`: an aware datetime, or ISO 8601 text with an offset."""
        self.set(start)

    @property
    def us(self) -> int:
        """The present instant in microseconds since 1970 UTC."""
        return to_microseconds(self.now)

    def set(self, moment: datetime | str) -> None:
        """Go to an instant; nothing on the way there is fired. Raise InvalidRequest for one without a zone."""
        self.now = parse_instant(moment, "moment")
        self.show()

    def advance(self, seconds: float = 0, *, minutes: float = 0, hours: float = 0, days: float = 0) -> None:
        """Let time pass without any node: the next one that claims finds late what became due meanwhile."""
        self.set(self.now + timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds))

    def show(self) -> None:
        """Set the clock of the session of the calling thread."""
        _set_clock(self.now.isoformat())

    def release(self) -> None:
        """Restore the session's real clock."""
        if connection.connection is None:
            return
        with suppress(DatabaseError):  # of a broken transaction, whose rollback undoes the setting
            _set_clock("")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


def _set_clock(text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('timers.virtual_now', %s, false)", [text])
