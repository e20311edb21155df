"""Remember the current server in the database, so that every process can compare the next server with it."""

from __future__ import annotations

from typing import Final

from timers import clock
from timers.database import connection, transaction
from timers.engine.events import record
from timers.models import DatabaseServer
from timers.server.prepare import session_of

_RAISE: Final = """
INSERT INTO timers_database_server AS s (id, system_identifier, timeline, acceptance, accepted_by)
VALUES (1, %(identifier)s, %(timeline)s, 0, '')
ON CONFLICT (id) DO UPDATE
    SET timeline = GREATEST(s.timeline, EXCLUDED.timeline),
        system_identifier = CASE WHEN s.system_identifier = '' THEN EXCLUDED.system_identifier
                                 ELSE s.system_identifier END
    WHERE s.timeline IS NULL OR s.timeline < EXCLUDED.timeline OR s.system_identifier = ''
"""


def remember_server() -> None:
    """Record the server of the current connection, if it is new or has been promoted."""
    server = session_of(connection).server
    if server is None or server.in_recovery or (server.system_identifier is None and server.timeline is None):
        return
    if (server.known_identifier, server.known_timeline) == (server.system_identifier, server.timeline):
        return
    with connection.cursor() as cursor:
        cursor.execute(_RAISE, {"identifier": server.system_identifier or "", "timeline": server.timeline})


def accept_server(actor: str, acceptance: int) -> DatabaseServer:
    """Accept the server of the current connection as the one that the service works on.

    Args:
        actor: who accepts it.
        acceptance: the highest known number of acceptances; the new one is higher.
    """
    server = session_of(connection).server
    assert server is not None, "the tables are migrated"
    with transaction.atomic():
        now = clock.now()
        row, _ = DatabaseServer.objects.update_or_create(
            id=DatabaseServer.ONLY,
            defaults={
                "system_identifier": server.system_identifier or "",
                "timeline": server.timeline,
                "acceptance": max(server.acceptance or 0, acceptance) + 1,
                "accepted_at": now,
                "accepted_by": actor,
            },
        )
        record("server accepted", "", f"{row} by {actor}", now)
    return row
