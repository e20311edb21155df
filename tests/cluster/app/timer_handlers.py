"""Handlers that count their calls outside the database: one line each, appended to the file in CALLS."""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from timers.handlers import Fail, Fire, handler

_calls = os.open(os.environ["CALLS"], os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600) if "CALLS" in os.environ else -1


def _note(fire: Fire) -> None:
    os.write(
        _calls, f"{fire.execution_id} {fire.number_of_try} {fire.fence} {os.getpid()} {time.time():.6f}\n".encode()
    )


@handler("cluster.count")
def count(fire: Fire) -> None:
    _note(fire)


@handler("cluster.work")
def work(fire: Fire) -> None:
    """Twenty milliseconds of waiting, as for a small query."""
    _note(fire)
    time.sleep(0.02)


@handler("cluster.sleep", timeout=2)
def sleep(fire: Fire) -> None:
    _note(fire)
    time.sleep(fire.payload)


@handler("cluster.slow")
def slow(fire: Fire) -> None:
    """Takes as many seconds as the payload says, with no limit of its own."""
    _note(fire)
    time.sleep(fire.payload)


@handler("cluster.exit")
def leave(fire: Fire) -> None:
    _note(fire)
    os._exit(3)


@handler("cluster.hog", timeout=3)
def hog(fire: Fire) -> None:
    """Keeps the interpreter for minutes: a regular expression that backtracks."""
    _note(fire)
    re.match(r"(a+)+$", "a" * 40 + "b")


@contextmanager
def _alone(fire: Fire) -> Iterator[None]:
    """Fails where another execution of the timer runs anywhere; the kernel lets the lock go when the process dies."""
    with Path(f"{os.environ['CALLS']}.{fire.name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Fail("two at once") from None
        yield


@handler("cluster.alone")
def alone(fire: Fire) -> None:
    """Three tenths of a second in which nothing else of the timer may run."""
    with _alone(fire):
        _note(fire)
        time.sleep(0.3)


@handler("cluster.patient")
def patient(fire: Fire) -> None:
    """Runs until it is asked to end."""
    with _alone(fire):
        _note(fire)
        if fire.cancelled.wait(20):
            raise InterruptedError("as I was asked")
