"""The entry of a worker process: it is spawned, so nothing here may need Django before it is set up."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from multiprocessing.connection import Connection
from typing import Any, Final

from timers.worker.options import WorkerSetup

SWITCH_INTERVAL: Final = 0.001
"""Seconds after which a busy thread lets another one in: the agenda must not wait behind the recorder."""


def main(setup: WorkerSetup, memory: Any, commands: Connection) -> None:
    """Become a worker of the node in `setup`; ends with the process."""
    # The supervisor alone decides how a node ends; a signal to the whole process group must not end handlers midway.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _die_with_parent(setup.supervisor_pid)
    sys.setswitchinterval(SWITCH_INTERVAL)

    import django

    django.setup()

    from timers.worker.worker import Worker

    Worker(setup, memory, commands).run()


def _die_with_parent(supervisor_pid: int) -> None:
    """Have the kernel kill this process when its supervisor dies, even if a handler hogs the interpreter (Linux)."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL)
        if os.getppid() != supervisor_pid:
            os._exit(1)  # It died before the kernel was told.
