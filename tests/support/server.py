"""The throw-away PostgreSQL of a test run: under `var/test`, not durable, shared by the runs of a checkout."""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack
from urllib.parse import urlsplit

import psycopg
from django.conf import settings
from psycopg import sql

from timerproject.embedded.folder import Folder
from timerproject.embedded.server import EmbeddedServer


def throw_away_server() -> EmbeddedServer:
    return EmbeddedServer(
        Folder.at(settings.VAR),
        pg_bin=settings.TIMERS.get("PG_BIN", ""),
        durable=False,
        settings={"max_connections": "300"},
    )


def serve_tests(until: ExitStack) -> None:
    """Start the server, unless there is a DATABASE_URL; the last run to end stops it."""
    if not settings.EMBEDDED_DATABASE:
        return
    server = throw_away_server()
    server.folder.make()
    users = until.enter_context(server.folder.users.open("w"))
    if _alone(users.fileno()):
        server.stop()  # left by a killed run, perhaps with other settings
        server.start()
        _drop_left_databases(server)
    fcntl.flock(users, fcntl.LOCK_SH)
    server.start()

    def leave() -> None:
        if _alone(users.fileno()):
            server.stop()

    until.callback(leave)


def _alone(users: int) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _drop_left_databases(server: EmbeddedServer) -> None:
    with psycopg.connect(**server.folder.parameters("postgres"), autocommit=True) as connection:
        for (name,) in connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'test\\_%'").fetchall():
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def process_environment() -> dict[str, str]:
    """The environment in which a real process (worker, web) uses this test's database."""
    database = settings.DATABASES["default"]
    if settings.EMBEDDED_DATABASE:
        host = database["HOST"].replace("/", "%2F")
        address = f"postgresql://{database['USER']}@{host}:{database['PORT']}/{database['NAME']}"
    else:
        address = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{database['NAME']}").geturl()
    return os.environ | {"DATABASE_URL": address, "DJANGO_SETTINGS_MODULE": "timerproject.settings"}
