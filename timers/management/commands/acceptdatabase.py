"""manage.py acceptdatabase: accept the database server that responds, after a restore or an upgrade."""

from __future__ import annotations

import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from timers.database import connection
from timers.engine.remember_server import accept_server
from timers.server import memory
from timers.server.identity import Remembered, why_refused
from timers.server.prepare import any_server, session_of


class Command(BaseCommand):
    """Without --yes the command shows what would be accepted, and changes nothing."""

    help = (
        "Accept the database server that DATABASE_URL leads to as the one that the service works on: after a restore, "
        "or an upgrade to a new major version. Nodes and web processes refuse any other server than the last one."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--yes", action="store_true", help="Accept it; without this it is only shown.")

    def handle(self, *args: Any, **options: Any) -> None:
        with any_server():
            server = session_of(connection).server
            if server is None:
                raise CommandError("The database has no tables of the service. Run manage.py migrate.")
            if server.in_recovery:
                raise CommandError("The server is a standby. Promote it first, or name the primary in DATABASE_URL.")
            address = memory.address_of(connection.settings_dict)
            remembered = memory.recall(address)
            self.stdout.write(f"This server:    {_words(Remembered(server.system_identifier, server.timeline))}")
            self.stdout.write(f"Its tables:     {_words(server.known)}")
            self.stdout.write(f"This machine:   {_words(remembered)}")
            why = why_refused(server, remembered)
            if not options["yes"]:
                self.stdout.write(f"It is refused: {why}." if why else "It is not refused.")
                self.stdout.write("Nothing was changed. To accept it, stop all nodes and repeat this with --yes.")
                return
            row = accept_server(getpass.getuser(), remembered.acceptance if remembered else 0)
            memory.remember(address, Remembered(server.system_identifier, server.timeline, row.acceptance))
        self.stdout.write("Accepted. Nodes and web processes take it with their next connection.")


def _words(server: Remembered | None) -> str:
    if server is None:
        return "remembers none"
    return f"system identifier {server.system_identifier or 'unknown'}, timeline {server.timeline or 'unknown'}"
