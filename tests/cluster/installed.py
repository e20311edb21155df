"""The installation of the cluster tests, set up once: Python code runs in processes that are forked from it.

Starting a new process for each line that a test runs costs most of a second of CPU time.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import traceback
from contextlib import redirect_stdout
from multiprocessing.connection import Connection
from typing import Final

_SETTINGS: Final = {
    "DJANGO_SETTINGS_MODULE": "tests.cluster.settings",
    "SECRET_KEY": "only for tests",
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/named_by_each_process",
}
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([f"{__package__}.set_up"])


def run_code(code: str, address: str) -> str:
    """Run it in a process of its own on the database of that address; returns what it prints.

    Raises AssertionError, with the process's traceback, when it raises.
    """
    reading, writing = _processes.Pipe(duplex=False)
    with reading:
        process = _processes.Process(target=_run, args=(code, address, writing))
        process.start()
        writing.close()
        try:
            printed, error = reading.recv()
        except EOFError:
            printed, error = "", "the process ended without a word"
        process.join()
    assert not error, error
    return str(printed)


def set_up_django() -> None:
    """Be a process of the installation."""
    for name in [name for name in os.environ if name.startswith("TIMERS_")]:
        del os.environ[name]
    os.environ |= _SETTINGS
    import django

    django.setup()


def _run(code: str, address: str, answer: Connection) -> None:
    from django.apps import apps

    if not apps.ready:  # the process from which this one was forked could not be set up
        set_up_django()
    from django.conf import settings
    from django.db import connections

    from timerproject.database import database
    from timerproject.embedded.folder import Folder

    connections.settings["default"].update(database(address, Folder.at(settings.VAR)))
    printed = io.StringIO()
    try:
        with redirect_stdout(printed):
            exec(code, {"__name__": "__main__"})
    except BaseException:  # noqa: BLE001 - the test raises it
        answer.send((printed.getvalue(), traceback.format_exc()))
    else:
        answer.send((printed.getvalue(), ""))
