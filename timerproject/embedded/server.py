"""Start and stop the embedded server; concurrent calls from several processes are safe."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psycopg
from django.conf import settings as django_settings

from timerproject.embedded import binaries as programs
from timerproject.embedded import run_as as identity
from timerproject.embedded.binaries import Binaries
from timerproject.embedded.folder import DATABASE, PORT, USER, EmbeddedDatabaseError, Folder
from timerproject.embedded.process import is_server
from timerproject.embedded.run_as import RunAs
from timers import conf

START_DEADLINE: Final = 40.0
STOP_DEADLINE: Final = 60.0
LARGEST_LOG: Final = 10_000_000
NO_PROCESS: Final = 2**31 - 1
"""Larger than the process ids of any kernel."""

SETTINGS: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "jit": "off",
    "log_line_prefix": "%m [%p] ",
}
NOT_DURABLE: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

# After kill -9 of only the postmaster, its children hold the shared memory until they notice, for some seconds.
PASSING: Final = ("pre-existing shared memory block", "is another postmaster", "is another server", "already running")


@dataclass(frozen=True)
class EmbeddedServer:
    """One server and its folder. `durable=False` trades the safety of the data for speed; for tests only."""

    folder: Folder
    pg_bin: str = ""
    durable: bool = True
    settings: dict[str, str] = field(default_factory=dict)

    def start(self) -> bool:
        """Start the server; return True if this call started it, False if it was running.

        Creates the cluster at the first call. Raises EmbeddedDatabaseError, whose message has the remedy.
        """
        self.folder.make()
        with self._locked():
            if self.answers():
                return False
            run_as = identity.choose(self.folder)
            found = programs.find(self.pg_bin, major=self.major())
            usable = identity.reachable(found, run_as, self.folder)
            if self.major() is None:
                self._make_cluster(usable, run_as)
            self._void_stale_locks()
            self._start(usable, run_as)
            self._make_database()
            return True

    def stop(self) -> bool:
        """Stop the server; return True if it was running. Open transactions are rolled back, committed ones kept."""
        if not self.folder.root.exists():
            return False
        with self._locked():
            pid = self.pid()
            if pid is None:
                return False
            # "Fast" first; "immediate" (recovery at the next start) only if that hangs.
            for sign in (signal.SIGINT, signal.SIGQUIT):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, sign)
                if self._gone(pid):
                    return True
            raise EmbeddedDatabaseError(f"The embedded PostgreSQL (process {pid}) does not stop; see {self.folder.log}")

    @contextlib.contextmanager
    def in_use(self) -> Iterator[bool]:
        """Start the server if necessary (yields True), and stop it at the end unless it ran before or is in use."""
        self.folder.make()
        with self.folder.users.open("w") as users:
            fcntl.flock(users, fcntl.LOCK_SH)
            started = self.start()
            try:
                yield started
            finally:
                if started and self._alone(users):
                    self.stop()

    def answers(self) -> bool:
        """Return whether a connection succeeds. The socket file is no proof: it exists already during recovery."""
        try:
            psycopg.connect(**self.folder.parameters("postgres"), connect_timeout=2).close()  # type: ignore[arg-type]
        except psycopg.OperationalError:
            return False
        return True

    def pid(self) -> int | None:
        """Process id of the live server, from its pid file."""
        pid = _noted_pid(self.folder.pid_file)
        return pid if pid is not None and is_server(pid) else None

    def major(self) -> int | None:
        """PostgreSQL version that created the cluster; None if there is no cluster yet."""
        try:
            return int((self.folder.data / "PG_VERSION").read_text())
        except FileNotFoundError:
            return None

    def _make_cluster(self, usable: Binaries, run_as: RunAs) -> None:
        # Resolves the links of a substitute user to the real paths.
        new, data = self.folder.new_data.resolve(), self.folder.data.resolve()
        shutil.rmtree(new, ignore_errors=True)
        words = ["-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--data-checksums", "--no-instructions"]
        made = subprocess.run(
            run_as.command(usable.program("initdb"), "-D", str(new), *words, *([] if self.durable else ["--no-sync"])),
            capture_output=True, text=True, check=False, cwd="/", env=_environment(), **run_as.arguments(),
        )  # fmt: skip
        if made.returncode:
            raise EmbeddedDatabaseError(f"The database cluster could not be made in {data}:\n{made.stderr.strip()}")
        new.rename(data)

    def _void_stale_locks(self) -> None:
        """Make PostgreSQL see that the process of its lock files is gone.

        It takes any process with that id for a server: a zombie, or another program after a restart of the container.
        The files are kept, with an id that no process has: one of them also names the shared memory, by which
        PostgreSQL detects whether children of the dead server are still working.
        """
        for lock in (self.folder.pid_file, self.folder.socket_lock):
            pid = _noted_pid(lock)
            if pid is not None and not is_server(pid):
                lines = lock.read_text().split("\n")
                lock.write_text("\n".join([str(NO_PROCESS), *lines[1:]]))

    def _start(self, usable: Binaries, run_as: RunAs) -> None:
        deadline = time.monotonic() + START_DEADLINE
        while True:
            said = self._one_start(usable, run_as, deadline)
            if said is None:
                return
            if time.monotonic() > deadline or not any(passing in said.lower() for passing in PASSING):
                raise EmbeddedDatabaseError(
                    f"The embedded PostgreSQL did not start; {self.folder.log} ends with:\n{_last_lines(said)}"
                )
            time.sleep(0.25)

    def _one_start(self, usable: Binaries, run_as: RunAs, deadline: float) -> str | None:
        """Make one attempt to start; return None if it succeeds, else what the server printed before it ended."""
        _rotate(self.folder.log)
        with self.folder.log.open("ab") as log:
            run_as.own(self.folder.log)
            begin = log.tell()
            process = subprocess.Popen(
                run_as.command(usable.program("postgres"), *self._arguments()),
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                cwd="/", env=_environment(), **run_as.arguments(),
            )  # fmt: skip
        while process.poll() is None:
            if self.answers():
                return None
            if time.monotonic() > deadline + STOP_DEADLINE:  # a long recovery is not a failure
                break
            time.sleep(0.02)
        if self.answers():  # another server, started without this lock
            return None
        with self.folder.log.open("rb") as log:
            log.seek(begin)
            return log.read().decode(errors="replace")

    def _arguments(self) -> list[str]:
        chosen = SETTINGS | ({} if self.durable else NOT_DURABLE) | self.settings
        sockets = str(self.folder.socket_folder.resolve())
        words = ["-D", str(self.folder.data.resolve()), "-k", sockets, "-p", str(PORT)]
        return words + [word for name, value in chosen.items() for word in ("-c", f"{name}={value}")]

    def _make_database(self) -> None:
        parameters = self.folder.parameters("postgres")
        with psycopg.connect(**parameters, autocommit=True) as connection:  # type: ignore[arg-type]
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(f"CREATE DATABASE {DATABASE}")

    def _gone(self, pid: int) -> bool:
        deadline = time.monotonic() + STOP_DEADLINE
        while time.monotonic() < deadline:
            if self.pid() != pid:
                return True
            time.sleep(0.02)
        return False

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with self.folder.lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _alone(self, users: object) -> bool:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)  # type: ignore[arg-type]
        except BlockingIOError:
            return False
        return True


def configured() -> EmbeddedServer:
    """Return the server of this project's settings."""
    settings = conf.current()
    return EmbeddedServer(Folder.at(django_settings.VAR), pg_bin=settings.pg_bin)


def _noted_pid(lock: Path) -> int | None:
    """Return the process id in a lock file of PostgreSQL."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(lock.read_text().split()[0])
    return None


def _environment() -> dict[str, str]:
    """Return the environment without variables that affect the server (PGPORT, PGDATA ...), for English messages."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))} | {"LC_ALL": "C"}


def _last_lines(text: str, count: int = 8) -> str:
    return "\n".join(text.strip().splitlines()[-count:])


def _rotate(log: Path) -> None:
    if log.exists() and log.stat().st_size > LARGEST_LOG:
        log.replace(log.with_name(f"{log.name}.1"))
