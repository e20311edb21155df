"""Run scripts in processes of an installation, without loading Django for each of them.

A process loads Django once, does nothing else, and forks for each script. The fork connects to the test's own database,
so a script meets no connection, thread or cache of another one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from timerproject.embedded.folder import Folder

ROOT: Final = Path(__file__).resolve().parents[2]
_OF_ONE_TEST: Final = frozenset({"DATABASE_URL", "CALLS", "PYTEST_CURRENT_TEST", "TIMER_TEST_RUN"})
"""What differs from test to test: a fork takes it over. Whatever else differs needs a process of its own."""


class Forks:
    """Forks of one process; it ends with the process that made it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.settings = _common(environment)
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__], cwd=ROOT, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def suits(self, environment: dict[str, str]) -> bool:
        """Whether the scripts of this environment can run in a fork."""
        return self._process.poll() is None and self.settings == _common(environment)

    def run(self, script: str, environment: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
        """Run one script to its end; `folder` is for what it prints."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        printed = [folder / "script.out", folder / "script.err"]
        request = {"script": script, "environment": environment, "printed": list(map(str, printed))}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        return subprocess.CompletedProcess(script, code, *(path.read_text() for path in printed))


def _common(environment: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in _OF_ONE_TEST}


def _serve() -> None:
    """Fork for each line of stdin, and answer with the exit code of the fork."""
    import django

    django.setup()
    # What most scripts import.
    import timers.cluster
    import timers.scheduling  # noqa: F401

    for line in iter(sys.stdin.readline, ""):
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _run(**request)
            return
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _run(script: str, environment: dict[str, str], printed: list[str]) -> None:
    for number, path in enumerate(printed, 1):
        to = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(to, number)
        os.close(to)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(environment)
    _connect_to(environment["DATABASE_URL"])
    exec(script, {"__name__": "__main__"})


def _connect_to(address: str) -> None:
    from django.conf import settings
    from django.db import connections

    from timerproject.database import database

    settings.DATABASES = {"default": database(address, Folder.at(settings.VAR))}
    found: Any = connections
    found.settings = found.configure_settings(settings.DATABASES)
    for alias in list(connections):
        if hasattr(found._connections, alias):
            del found[alias]


if __name__ == "__main__":
    _serve()
