"""The web server of the measured installation: gunicorn as `make up` starts it, with an application key for the run."""

from __future__ import annotations

import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from django.contrib.auth import get_user_model

from timerproject.bench.ground import PREFIX
from timers.control.keys import create_key

READY_WITHIN: Final = 60.0
STOPS_WITHIN: Final = 30.0
ADDRESS: Final = "127.0.0.1"
RATE: Final = 1_000_000.0
"""Rate limit of the run's key in requests per second, too high to matter."""


class WebFailed(Exception):
    """Raised when the web server did not start."""


class WebProcess:
    """gunicorn on a free port. `url` is the base URL of the API; `key` has all scopes until the context is left."""

    def __init__(self, *, workers: int, threads: int) -> None:
        with socket.socket() as probe:
            probe.bind((ADDRESS, 0))
            self._port = int(probe.getsockname()[1])
        self.url = f"http://{ADDRESS}:{self._port}/api/v1"
        self._words = [
            sys.executable, "-m", "gunicorn", "timerproject.wsgi", "--bind", f"{ADDRESS}:{self._port}",
            "--workers", str(workers), "--threads", str(threads),
        ]  # fmt: skip
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - closed on exit

    def __enter__(self) -> Self:
        self._user = get_user_model().objects.create_superuser(f"{PREFIX}{secrets.token_hex(4)}")
        _, self.key = create_key(
            self._user.get_username(), user=self._user, scopes=["admin"], all_groups=True, rate=RATE, actor="timerbench"
        )
        self._process = subprocess.Popen(self._words, stdout=self._log, stderr=self._log, cwd=Path.cwd())
        try:
            self._wait()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _wait(self) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline and self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex((ADDRESS, self._port)) == 0:
                    return
            time.sleep(0.1)
        self._log.seek(0)
        raise WebFailed(f"the web server did not start; its log ends:\n{self._log.read()[-2000:]}")

    def _stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
        self._user.delete()
