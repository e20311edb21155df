"""The whole service by one command, as a process of its own."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError

from timerproject.embedded.folder import Folder
from timerproject.embedded.server import EmbeddedServer
from timerproject.management.commands.up import refuse_taken_port

pytestmark = pytest.mark.cluster


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Up:
    """A running `manage.py up` in a folder of its own."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        clean = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "SECRET_KEY"}}
        ours = {"TIMERS_VAR": str(folder), "PORT": str(port), "DJANGO_SETTINGS_MODULE": "timerproject.settings"}
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "up", "--no-demo", "--workers", "1"],
            cwd=settings.BASE_DIR, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=clean | ours,
            start_new_session=True,
        )  # fmt: skip
        self.output = ""

    def until(self, pattern: str) -> re.Match[str]:
        """Read on until this is said."""
        assert self.process.stdout
        while not (found := re.search(pattern, self.output)):
            line = self.process.stdout.readline()
            assert line, self.output
            self.output += line
        return found

    def end(self, sign: int) -> int:
        assert self.process.stdout
        self.process.send_signal(sign)
        self.output += self.process.stdout.read()
        return self.process.wait(30)


@pytest.fixture
def var(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "var"
    EmbeddedServer(Folder.at(tmp_path / "var")).stop()


def test_up_serves_stops_in_order_and_comes_back_after_kill_9(var: Path, port: int) -> None:
    first = Up(var, port)
    link = first.until(r"http://localhost:\d+/sign-in/\S+")[0]
    with urllib.request.urlopen(link) as answer:
        assert b"signs you in as <strong>admin</strong>" in answer.read()
    for pid in (first.process.pid, int((var / "pgdata/postmaster.pid").read_text().split()[0])):
        os.killpg(pid, signal.SIGKILL)
    first.process.wait()

    second = Up(var, port)
    assert second.until(r"http://localhost:\d+/sign-in/\S+")[0] != link
    assert second.end(signal.SIGTERM) == 0, second.output
    said = [
        line
        for line in second.output.splitlines()
        if line.endswith(("| stopping", "unless others use it", "| stopped"))
    ]
    assert said == [
        "node | stopping",
        "web  | stopping",
        "up   | stopping the embedded PostgreSQL, unless others use it",
        "up   | stopped",
    ]
    assert not (var / "pgdata/postmaster.pid").exists()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://localhost:{port}/")


def test_a_database_that_is_killed_is_started_again_and_stopped_at_the_end(var: Path, port: int) -> None:
    up = Up(var, port)
    up.until(r"Stop with Ctrl-C")
    postmaster = var / "pgdata/postmaster.pid"
    killed = int(postmaster.read_text().split()[0])
    os.kill(killed, signal.SIGKILL)
    up.until(r"up   \| the embedded PostgreSQL has ended; starting it again in 1 s")
    started = up.until(r"up   \| Started: process (\d+),")
    assert int(started[1]) != killed
    with urllib.request.urlopen(f"http://localhost:{port}/login/") as answer:
        assert answer.status == 200
    assert up.end(signal.SIGTERM) == 0, up.output
    assert not postmaster.exists()


def test_a_taken_port_is_said_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("timerproject.management.commands.up.PORT_FREE_WITHIN", 0)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(CommandError, match=f"Port {port} of 127.0.0.1 cannot be had.*make up PORT={port + 1}"):
            refuse_taken_port("127.0.0.1", port)
