"""The command line itself, as a process: what it says when what it needs is not there."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from django.conf import settings

pytestmark = pytest.mark.cluster


def manage(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *words], cwd=settings.BASE_DIR, capture_output=True, text=True, check=False,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "timerproject.settings", **environment},
    )  # fmt: skip


@pytest.mark.parametrize("command", [["timerdoctor"], ["timercluster", "--json"]])
def test_a_database_that_is_away_is_one_line(command: list[str]) -> None:
    ended = manage(*command, DATABASE_URL="postgresql://timers@127.0.0.1:1/timers", SECRET_KEY="x" * 50)
    assert ended.returncode == 1
    assert ended.stderr.startswith("The database cannot be reached: ")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("port", ["99999", "0", "web"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    ended = manage("up", PORT=port)
    assert ended.returncode != 0
    assert "must be a number from 1 to 65535" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_reader_that_has_seen_enough_is_no_fault() -> None:
    command = [sys.executable, "manage.py", "help", "--commands"]
    with subprocess.Popen(command, cwd=settings.BASE_DIR, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
