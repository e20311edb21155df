"""System: the database server, the web server, the nodes, and the target that webhooks call."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg

from tests.torture.live.proxy import Proxy
from tests.torture.live.webhooks import WebhookTarget
from timerproject.embedded.folder import Folder
from timerproject.embedded.server import EmbeddedServer

ROOT: Final = Path(__file__).resolve().parents[3]
TMPFS_MEGABYTES: Final = 600
DATABASE_SETTINGS: Final = {"max_connections": "100", "max_wal_size": "96MB", "min_wal_size": "32MB"}


def processes_below(pid: int) -> list[int]:
    """The descendants of a process that live now."""
    found, left = [], [pid]
    while left:
        current = left.pop()
        with suppress(OSError):
            for task in Path(f"/proc/{current}/task").iterdir():
                children = [int(each) for each in (task / "children").read_text().split()]
                found += children
                left += children
    return found


def build_shim(folder: Path) -> Path | None:
    """Compile the library that shifts the wall clock of a process; None where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    made, source = folder / "clock_shim.so", Path(__file__).with_name("clock_shim.c")
    words = [compiler, "-O2", "-shared", "-fPIC", "-o", str(made), str(source), "-ldl"]
    return made if subprocess.run(words, capture_output=True, check=False).returncode == 0 else None


@dataclass
class Node:
    """One `runtimerworker`, with its own way to the database and its own wall clock."""

    name: str
    proxy: Proxy
    clock: Path
    process: subprocess.Popen[bytes] | None = None

    def signal(self, number: int) -> None:
        """Send a signal to all its processes, the supervisor first."""
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGSTOP if number == signal.SIGKILL else number)
        for pid in processes_below(self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        if number == signal.SIGKILL:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, number)
            self.process.wait()

    def shift_clock(self, seconds: float) -> None:
        """Set how far ahead its wall clock is."""
        with self.clock.open("r+b") as file:
            file.write(struct.pack("q", round(seconds * 1_000_000_000)))


@dataclass
class System:
    """Everything that runs during a torture run; `close` ends all of it, by the processes it started."""

    folder: Path
    count: int
    nodes: list[Node] = field(default_factory=list)
    web: subprocess.Popen[bytes] | None = None
    web_port: int = 0
    key: str = ""
    is_on_tmpfs: bool = False
    shim: Path | None = None

    def __post_init__(self) -> None:
        self.database_folder = self.folder / "database"
        self.server = EmbeddedServer(Folder.at(self.database_folder), durable=True, settings=DATABASE_SETTINGS)
        self.target = WebhookTarget(self.folder / "effects.jsonl")

    @property
    def socket_file(self) -> Path:
        """The server's own socket."""
        parameters = self.server.folder.parameters()
        return Path(str(parameters["host"])) / f".s.PGSQL.{parameters['port']}"

    def start(self) -> None:
        """Start everything and wait until it serves."""
        self._mount()
        self.server.start()
        self.shim = build_shim(self.folder)
        self.manage("migrate", "-v", "0")
        self.target.start()
        self.key = self.manage("shell", "-v", "0", "-c", _KEY).strip().splitlines()[-1]
        self._start_web()
        for number in range(self.count):
            clock = self.folder / f"clock-{number}"
            clock.write_bytes(struct.pack("q", 0))
            clock.chmod(0o644)
            self.nodes.append(Node(f"node-{number}", Proxy(self.folder / f"proxy-{number}", self.socket_file), clock))
        for node in self.nodes:
            self.start_node(node)
        self.wait_until_active(self.count)

    def start_node(self, node: Node) -> None:
        """Start a node, or start it again."""
        environment = self.environment(node.proxy.folder) | {"CLOCK_OFFSET": str(node.clock)}
        if self.shim is not None:
            environment["LD_PRELOAD"] = str(self.shim)
        with (self.folder / f"{node.name}.log").open("ab") as log:
            node.process = subprocess.Popen(
                [sys.executable, "manage.py", "runtimerworker", "--name", node.name, "--workers", "2"],
                cwd=ROOT, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip

    def wait_until_active(self, count: int, within: float = 60.0) -> None:
        """Wait until so many nodes are active."""
        deadline = time.monotonic() + within
        while self.rows("SELECT count(*) FROM timers_node WHERE state = 'active'") != [(count,)]:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{count} nodes did not become active within {within:g} s; see {self.folder}")
            time.sleep(0.1)

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Ask the database, not by a proxy."""
        with psycopg.connect(**self.server.folder.parameters(), autocommit=True) as connection:  # type: ignore[arg-type]
            return connection.execute(query, parameters).fetchall()

    def manage(self, *words: str) -> str:
        """Run a management command to its end; returns what it printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT, env=self.environment(self.socket_file.parent), capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"manage.py {words[0]}: {done.stderr}")
        return done.stdout

    def environment(self, host: Path) -> dict[str, str]:
        """The environment of a process that reaches the database by the socket in `host`."""
        parameters = self.server.folder.parameters()
        place = f"{str(host).replace('/', '%2F')}:{parameters['port']}"
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("TIMERS_")},
            "DATABASE_URL": f"postgresql://{parameters['user']}@{place}/{parameters['dbname']}",
            "SECRET_KEY": "only for a torture run",
            "DJANGO_SETTINGS_MODULE": "tests.torture.settings",
            "EFFECTS": str(self.folder / "effects.jsonl"),
            "TIMERS_HTTP_ALLOW_PRIVATE": "127.0.0.1",
            "TIMERS_HTTP_ALLOW_PLAIN": "true",
            "TIMERS_HTTP_PORTS": "any",
        }

    def close(self) -> None:
        """End everything."""
        for node in self.nodes:
            node.signal(signal.SIGKILL)
            node.proxy.close()
        if self.web is not None:
            self.web.kill()
            self.web.wait()
        self.target.close()
        with suppress(Exception):
            self.server.stop()
        if self.is_on_tmpfs:
            subprocess.run(["umount", "-l", str(self.database_folder)], check=False)

    def _mount(self) -> None:
        """Put the database on a file system of its own, which can be filled."""
        self.database_folder.mkdir(parents=True, exist_ok=True)
        words = ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_MEGABYTES}m,mode=0755", "tmpfs", str(self.database_folder)]
        self.is_on_tmpfs = os.geteuid() == 0 and subprocess.run(words, capture_output=True, check=False).returncode == 0

    def _start_web(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.web_port = int(probe.getsockname()[1])
        with (self.folder / "web.log").open("ab") as log:
            self.web = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "timerproject.wsgi", "--bind", f"127.0.0.1:{self.web_port}"],
                cwd=ROOT, env=self.environment(self.socket_file.parent), stdout=log, stderr=log,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        for _ in self._tries(30):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.web_port)) == 0:
                    return
        raise RuntimeError(f"the web server did not start; see {self.folder}/web.log")

    @staticmethod
    def _tries(seconds: float) -> Iterator[None]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            yield
            time.sleep(0.1)


_KEY = """
from django.contrib.auth import get_user_model
from timers.control.keys import create_key
user, _ = get_user_model().objects.get_or_create(username="torture", is_superuser=True)
print(create_key("torture", user=user, scopes=["admin"], all_groups=True, rate=100000)[1])
"""
