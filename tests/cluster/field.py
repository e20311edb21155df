"""A field for real nodes: a database, real `runtimerworker` processes, and what they did."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple, TypeVar

import psycopg

from tests.cluster.installed import run_code
from timerproject.embedded.server import EmbeddedServer
from timers.engine.recall import RECALL_CHANNEL

ROOT = Path(__file__).resolve().parents[2]
Value = TypeVar("Value")


class Call(NamedTuple):
    """A line that a handler wrote."""

    execution: str
    number_of_try: int
    fence: int
    pid: int
    at: float


@dataclass
class Field:
    """One database and the nodes on it. Every process it starts it ends."""

    address: str
    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    nodes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    asks_in_one_session: bool = False
    """Keep the session of rows(): a new one every few milliseconds costs the nodes a quarter of a core.

    Only where the database server is neither stopped nor replaced.
    """
    _session: psycopg.Connection[Any] | None = field(default=None, init=False)
    _in_use: Lock = field(default_factory=Lock, init=False)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("TIMERS_")},
            "DATABASE_URL": self.address,
            "SECRET_KEY": "only for tests",
            "DJANGO_SETTINGS_MODULE": "tests.cluster.settings",
            "CALLS": str(self.folder / "calls"),
            **self.settings,
        }

    def manage(self, *words: str) -> str:
        """Run a management command in a process of the installation; returns what it prints."""
        done = subprocess.run(
            [sys.executable, "manage.py", *words], cwd=ROOT, env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def migrate(self) -> None:
        """Make the tables of a database that has none."""
        self.run("from django.core.management import call_command; call_command('migrate', verbosity=0)")

    def run(self, script: str) -> str:
        """Run Python code in a process of the installation; returns what it prints."""
        if not self.settings:
            return run_code(script, self.address)
        return self.manage("shell", "-v", "0", "-c", script)

    def start(self, name: str, *words: str, until: str = "active") -> subprocess.Popen[bytes]:
        """Start a node in a process group of its own and wait until it is in a state."""
        with (self.folder / f"{name}.log").open("ab") as log:
            node = subprocess.Popen(
                [sys.executable, "manage.py", "runtimerworker", "--name", name, *words],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.nodes[name] = node
        reached = "SELECT count(*) FROM timers_node WHERE pid = %s AND state = %s"
        eventually(lambda: self.value(reached, node.pid, until))
        return node

    def wait_for_workers(self, count: int) -> None:
        """Wait until that many workers have begun to look for work: later than their node is active."""
        eventually(lambda: self._listening() >= count, within=60)

    def _listening(self) -> int:
        sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query = %s"
        return int(self.value(sessions, f"LISTEN {RECALL_CHANNEL}"))

    def kill(self, name: str) -> None:
        """kill -9 of the whole node."""
        node = self.nodes.pop(name)
        with suppress(ProcessLookupError):
            os.killpg(node.pid, signal.SIGKILL)
        node.wait()

    def stop(self, name: str, within: float = 40) -> int:
        """SIGTERM, and its exit code."""
        node = self.nodes.pop(name)
        node.terminate()
        return node.wait(within)

    def worker_pids(self, name: str) -> list[int]:
        """The child processes of a node; multiprocessing's own helper among them is none of its workers."""
        pid = self.nodes[name].pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(child) for child in children if "spawn_main" in _command_line(child)]

    def schedule(self, handler: str, count: int, **options: Any) -> None:
        """Schedule one-shots that are due now, from a process of the installation."""
        self.run(_SCHEDULE.format(handler=handler, count=count, options=options))

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        if not self.asks_in_one_session or not self._in_use.acquire(blocking=False):
            with psycopg.connect(self.address, autocommit=True) as connection:
                return connection.execute(query, parameters).fetchall()
        try:
            if self._session is None or self._session.closed:
                self._session = psycopg.connect(self.address, autocommit=True, prepare_threshold=None)
            return self._session.execute(query, parameters).fetchall()
        finally:
            self._in_use.release()

    def value(self, query: str, *parameters: Any) -> Any:
        found = self.rows(query, *parameters)
        return found[0][0] if found else None

    def succeeded(self) -> int:
        return int(self.value("SELECT count(*) FROM timers_attempt WHERE outcome = 'succeeded'"))

    def wait_until_succeeded(self, count: int, within: float = 60) -> None:
        eventually(lambda: self.succeeded() >= count, within)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def calls(self) -> list[Call]:
        path = self.folder / "calls"
        if not path.exists():
            return []
        rows = [line.split() for line in path.read_text().splitlines()]
        return [Call(row[0], int(row[1]), int(row[2]), int(row[3]), float(row[4])) for row in rows]

    def check_ledger(self, count: int) -> None:
        """One final row per execution, all succeeded, nothing left behind, and every further call explained.

        Explained: the execution was lost with a process, and the ledger says so in a row of its own.
        """
        final = Counter(dict(self.rows("SELECT outcome, count(*) FROM timers_attempt WHERE outcome IN"
                                       " ('succeeded', 'failed', 'cancelled', 'skipped') GROUP BY 1")))  # fmt: skip
        assert final == {"succeeded": count}
        assert self.value("SELECT count(DISTINCT timer_id) FROM timers_attempt WHERE outcome = 'succeeded'") == count
        assert self.value("SELECT count(*) FROM timers_claim") == 0
        assert self.value("SELECT count(*) FROM timers_waiting") == 0
        lost = dict(self.rows("SELECT timer_id, count(*) FROM timers_attempt WHERE outcome = 'lost' GROUP BY 1"))
        calls = defaultdict(list)
        for call in self.calls():
            calls[call.execution].append(call)
        assert len(calls) == count
        for execution, made in calls.items():
            assert len(made) <= 1 + lost.get(timer_of(execution), 0), f"unexplained further call of {execution}"
            fences = [call.fence for call in made]
            assert fences == sorted(set(fences)), "a later call has a higher fence"

    def end(self) -> None:
        for name in list(self.nodes):
            self.kill(name)
        if self._session is not None:
            self._session.close()


def _command_line(pid: str) -> str:
    """The words of a process; empty for one that has just ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


_SCHEDULE = """
from timers.scheduling import ensure_group, schedule_many
ensure_group("work", retry={{"max_retries": 20, "min_backoff": 0.1, "max_backoff": 1}})
schedule_many([dict(kind="once", group="work", name=f"{handler}-{{n}}", after=0, handler={handler!r}, **{options!r})
               for n in range({count})])
"""


def timer_of(execution: str) -> int:
    return (int(execution.replace("-", ""), 16) >> 18) & ((1 << 44) - 1)


def eventually(ask: Callable[[], Value], within: float = 20.0) -> Value:
    """Ask again and again until the answer is true, and return it."""
    deadline = time.monotonic() + within
    while True:
        answer = ask()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"it did not come true within {within:g} s"
        time.sleep(0.02)


def every(seconds: float, until: Callable[[], bool]) -> Iterator[None]:
    """Yield at this pace until it is true."""
    while not until():
        yield
        time.sleep(seconds)


@contextmanager
def field_on(server: EmbeddedServer, folder: Path) -> Iterator[Field]:
    """A field on a database server of its own; all its nodes are ended with it."""
    parameters = server.folder.parameters()
    host = str(parameters["host"]).replace("/", "%2F")
    field = Field(f"postgresql://{parameters['user']}@{host}:{parameters['port']}/{parameters['dbname']}", folder)
    try:
        field.migrate()
        yield field
    finally:
        field.end()


def stop(server: EmbeddedServer, how: signal.Signals) -> None:
    """Send a signal to the server and wait for its end."""
    postmaster = server.folder.data / "postmaster.pid"
    os.kill(int(postmaster.read_text().split()[0]), how)
    eventually(lambda: not postmaster.exists())
