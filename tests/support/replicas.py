"""A primary and its standby, made by pg_basebackup; each a server of its own under a test's folder."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import psycopg

from tests.support.eventually import eventually
from timerproject.embedded import binaries, run_as
from timerproject.embedded.folder import Folder
from timerproject.embedded.server import EmbeddedServer

SETTINGS = {"hot_standby": "on", "wal_keep_size": "256MB", "max_wal_senders": "5"}


class Replicas:
    """Two servers; the first is the primary until `fail_over`."""

    def __init__(self, folder: Path) -> None:
        self.old = EmbeddedServer(Folder.at(folder / "p"), durable=True, settings=SETTINGS)
        self.new = EmbeddedServer(Folder.at(folder / "s"), durable=True, settings=SETTINGS)
        self.old.start()
        self._copy()
        self.new.start()

    @property
    def address(self) -> str:
        """The address with both hosts, the old primary's first."""
        hosts = ",".join(str(each.folder.socket_folder).replace("/", "%2F") for each in (self.old, self.new))
        return f"postgresql://timers@{hosts}/timers"

    def address_of(self, server: EmbeddedServer) -> str:
        host = str(server.folder.socket_folder).replace("/", "%2F")
        return f"postgresql://timers@{host}/timers"

    def execute(self, server: EmbeddedServer, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(**server.folder.parameters(), autocommit=True) as connection:  # type: ignore[arg-type]
            cursor = connection.execute(statement, values or None)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def make_synchronous(self) -> None:
        """Commits wait for the standby from now on."""
        self.execute(self.old, "ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.execute(self.old, "SELECT pg_reload_conf()")
        eventually(
            lambda: self.execute(self.old, "SELECT sync_state FROM pg_stat_replication") == [("sync",)], within=30
        )

    def fail_over(self) -> None:
        """Kill the primary and promote the standby once it has replayed what it received."""
        kill(self.old)
        self.execute(self.new, "SELECT pg_promote(true, 30)")

    def bring_back_old(self) -> None:
        """Start the former primary again, as if nothing had happened; it waits for no standby."""
        auto = self.old.folder.data / "postgresql.auto.conf"
        auto.write_text(auto.read_text().replace("synchronous_standby_names = '*'", "synchronous_standby_names = ''"))
        self.old.start()

    def stop(self) -> None:
        for server in (self.old, self.new):
            if (pid := server.pid()) is not None:
                os.kill(pid, signal.SIGQUIT)
                eventually(lambda server=server: server.pid() is None, within=30)

    def _copy(self) -> None:
        folder = self.new.folder
        folder.make()
        found = binaries.find(major=self.old.major())
        who = run_as.choose(self.old.folder)
        usable = run_as.reachable(found, who, self.old.folder)
        done = subprocess.run(
            who.command(
                usable.program("pg_basebackup"), "-h", str(self.old.folder.socket_folder), "-U", "timers",
                "-D", str(folder.data), "-R", "-X", "stream", "-c", "fast",
            ),
            capture_output=True, text=True, check=False, cwd="/", **who.arguments(),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


def kill(server: EmbeddedServer) -> None:
    """End a server at once, as a crash does, and wait until it is gone."""
    pid = server.pid()
    assert pid is not None
    os.kill(pid, signal.SIGQUIT)
    eventually(lambda: server.pid() is None, within=30)
