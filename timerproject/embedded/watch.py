"""Restart the embedded server when it dies under a running `make up`, like the other children."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from django.conf import settings

from timerproject.embedded.server import EmbeddedServer
from timerproject.pauses import Pauses


@dataclass
class Watch:
    """Watches the server. `say` gets lines for the log.

    The restart runs in a separate process: recovery may take long, and the other children need attention meanwhile.
    """

    server: EmbeddedServer
    say: Callable[[str], None]
    _pauses: Pauses = field(default_factory=Pauses)
    _start_at: float | None = None
    _starting: subprocess.Popen[str] | None = None

    def look(self) -> None:
        """Check the server once; never waits."""
        now = time.monotonic()
        if self._starting is not None:
            if self._starting.poll() is not None:
                self._tell_of_start(self._starting)
                self._starting = None
        elif self.server.pid() is not None:
            self._start_at = None
        elif self._start_at is None:
            wait = self._pauses.next(now)
            self._start_at = now + wait
            self.say(f"the embedded PostgreSQL has ended; starting it again in {wait:g} s")
        elif now >= self._start_at:
            self._start_at = None
            self._starting = subprocess.Popen(
                [sys.executable, "manage.py", "embeddeddb", "start"],
                cwd=settings.BASE_DIR, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, process_group=0,  # as for children: only the process that stops all in order gets Ctrl-C
            )  # fmt: skip

    def _tell_of_start(self, ended: subprocess.Popen[str]) -> None:
        said, _ = ended.communicate()
        for line in said.splitlines():
            self.say(line)
        self._pauses.started(time.monotonic())
