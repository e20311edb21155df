"""The entry of a worker process: it is spawned, so nothing here may need Django before it is set up."""

from __future__ import annotations

import logging
import os
import signal
import sys
from multiprocessing.connection import Connection
from typing import Any, Final

from timers.worker import descendants
from timers.worker.options import WorkerSetup

SWITCH_INTERVAL: Final = 0.001
"""Seconds after which a busy thread yields to another one: the agenda must not wait for the recorder."""


def main(setup: WorkerSetup, memory: Any, commands: Connection) -> None:
    """Become a worker of the node in `setup`; ends with the process.

    Args:
        setup: what the supervisor passes to the worker.
        memory: shared memory of this worker (in_flight.shared_memory).
        commands: the supervisor's command pipe.
    """
    # Only the supervisor decides how a node ends; a signal to the whole process group must not interrupt handlers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    descendants.lead_session()
    descendants.die_with_parent(setup.supervisor_pid)
    sys.setswitchinterval(SWITCH_INTERVAL)

    try:
        from timers.worker import process_state

        process_state.wrap_changers()

        import django

        django.setup()

        from timers.worker.worker import Worker, wait_for_database

        database_clock = wait_for_database(commands)
        if database_clock is None:
            os._exit(0)
        Worker(setup, memory, commands, database_clock).run()
    except BaseException:
        logging.getLogger(__name__).critical("worker %d ends by an error of its own", setup.number, exc_info=True)
    # Never end by returning: the interpreter would wait for threads that handlers started.
    logging.shutdown()
    os._exit(1)
