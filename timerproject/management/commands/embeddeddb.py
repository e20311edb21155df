"""`manage.py embeddeddb start|stop|status|psql`: control the embedded PostgreSQL."""

from __future__ import annotations

import os
from argparse import REMAINDER, ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from timerproject.embedded import binaries
from timerproject.embedded.folder import DATABASE, PORT, USER, EmbeddedDatabaseError
from timerproject.embedded.server import EmbeddedServer, configured


class Command(BaseCommand):
    help = "Start, stop, look at, or open a shell on the embedded PostgreSQL (used while DATABASE_URL is unset)."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("start", help="start it, and leave it running")
        verbs.add_parser("stop", help="stop it in order; nothing committed is lost")
        verbs.add_parser("status", help="say whether it runs, and where; exit code 1 if it does not")
        shell = verbs.add_parser("psql", help="open psql on it; words after -- are handed on")
        shell.add_argument("words", nargs=REMAINDER)

    def handle(self, *args: Any, verb: str, words: list[str] | None = None, **options: Any) -> None:
        if not settings.EMBEDDED_DATABASE:
            raise CommandError("DATABASE_URL is set, so that database is used and there is no embedded one.")
        server = configured()
        try:
            match verb:
                case "start":
                    self.stdout.write(("Started: " if server.start() else "Running already: ") + _where(server))
                case "stop":
                    self.stdout.write("Stopped." if server.stop() else "It was not running.")
                case "status":
                    self._say_status(server)
                case "psql":
                    _become_psql(server, [word for word in words or [] if word != "--"])
        except EmbeddedDatabaseError as problem:
            raise CommandError(str(problem)) from problem

    def _say_status(self, server: EmbeddedServer) -> None:
        if server.answers():
            self.stdout.write("Running: " + _where(server))
        elif server.pid():
            raise CommandError(f"Process {server.pid()} is there but takes no connection; see {server.folder.log}.")
        else:
            raise CommandError(f"Not running; its folder is {server.folder.root}.")


def _where(server: EmbeddedServer) -> str:
    folder = server.folder
    return f"process {server.pid()}, data in {folder.data}, socket in {folder.socket_folder}, log in {folder.log}"


def _become_psql(server: EmbeddedServer, words: list[str]) -> None:
    server.start()
    psql = binaries.find(server.pg_bin, major=server.major()).program("psql")
    address = ["-h", str(server.folder.socket_folder), "-p", str(PORT), "-U", USER, "-d", DATABASE]
    os.execv(psql, [psql, *address, *words])  # noqa: S606 - the terminal is psql's from here on
