"""Commits that wait for a synchronous standby: no timeout ends such a wait, only the standby's return or a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from timers.database import connection

LONG_SECONDS: Final = 2.0
"""Seconds after which a commit counts as waiting; with standbys each commit waits for some milliseconds."""

_WAITS: Final = """
SELECT pid, application_name, extract(epoch FROM clock_timestamp() - query_start)::float8
FROM pg_stat_activity
WHERE wait_event = 'SyncRep' AND datname = current_database()
  AND query_start < clock_timestamp() - %s * INTERVAL '1 second'
ORDER BY query_start LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class CommitWait:
    """One session whose commit waits."""

    session: int
    """The process id of the server."""
    application: str
    seconds: float


def commit_waits(limit: int) -> list[CommitWait]:
    """Return the commits in this database that wait for a standby, longest first; the query waits for none."""
    with connection.cursor() as cursor:
        cursor.execute(_WAITS, (LONG_SECONDS, limit))
        return [CommitWait(*row) for row in cursor.fetchall()]
