"""Handlers that count their calls outside the database: one line each, appended to the file in CALLS."""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from django.db import connection, transaction

from tests.support.hostile import hostile
from timers.handlers import Fail, Fire, handler
from timers.scheduling import ensure_group

_calls = os.open(os.environ["CALLS"], os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600) if "CALLS" in os.environ else -1

_left: set[asyncio.Task[Any]] = set()


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


@handler("cluster.rest", timeout=120)
def rest(fire: Fire) -> None:
    """Rests for as many seconds as the payload says."""
    _note(fire)
    time.sleep(fire.payload)


@handler("cluster.slow_first", timeout=120)
def slow_first(fire: Fire) -> None:
    """The first attempt takes as many seconds as the payload says, every further one a second."""
    _note(fire)
    time.sleep(fire.payload if fire.number_of_try == 1 else 1)


@handler("cluster.end_thread")
def end_thread(fire: Fire) -> None:
    """Ends a thread of its worker, named by the payload, by an exception from outside; woken, it sees it at once."""
    _note(fire)
    (thread,) = (each for each in threading.enumerate() if each.name == fire.payload)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit))


@handler("cluster.pthread_exit")
def pthread_exit(fire: Fire) -> None:
    """Ends its own thread below the interpreter."""
    _note(fire)
    ctypes.CDLL(None).pthread_exit(None)


@handler("cluster.background_exit")
async def background_exit(fire: Fire) -> None:
    """A background task ends the program, as it believes."""
    _note(fire)

    async def leave() -> None:
        sys.exit(7)

    task = asyncio.create_task(leave())
    await asyncio.sleep(60)
    await task


@handler("cluster.child_exit")
async def child_exit(fire: Fire) -> None:
    """A task that it awaits ends the program."""
    _note(fire)

    async def leave() -> None:
        sys.exit(8)

    await asyncio.create_task(leave())


@handler("cluster.stop_loop")
async def stop_loop(fire: Fire) -> None:
    _note(fire)
    asyncio.get_running_loop().stop()
    await asyncio.sleep(60)


@handler("cluster.stop_loop_below")
async def stop_loop_below(fire: Fire) -> None:
    """By the base class, past whatever the worker's loop refuses."""
    _note(fire)
    loop = asyncio.get_running_loop()
    asyncio.SelectorEventLoop.stop(cast("asyncio.SelectorEventLoop", loop))
    await asyncio.sleep(0.05)


@handler("cluster.close_selector")
async def close_selector(fire: Fire) -> None:
    """Takes from the loop what it waits with: no loop can go on after that."""
    _note(fire)
    asyncio.get_running_loop()._selector.close()  # type: ignore[attr-defined]
    await asyncio.sleep(60)


@handler("cluster.block_behind")
async def block_behind(fire: Fire) -> None:
    """Leaves a task behind that blocks the loop after it has returned."""
    _note(fire)

    async def block() -> None:
        await asyncio.sleep(0.1)
        time.sleep(60)

    _left.add(asyncio.create_task(block()))


@handler("cluster.raise")
def raise_it(fire: Fire) -> None:
    """Raises an exception that is hostile in the way that the payload names."""
    _note(fire)
    raise hostile(fire.payload)


@handler("cluster.raise_async")
async def raise_async(fire: Fire) -> None:
    _note(fire)
    await asyncio.sleep(0)
    raise hostile(fire.payload)


@handler("cluster.children", timeout=2)
def children(fire: Fire) -> None:
    """Starts programs in every way in which they could escape, and writes their ids down."""
    _note(fire)
    path = Path(f"{os.environ['CALLS']}.children")
    for options in ({}, {"start_new_session": True}, {"env": {"PATH": os.environ["PATH"]}}):
        child = subprocess.Popen(["sleep", "1000"], **options)  # type: ignore[call-overload]
        _append(path, child.pid)
    # Twice forked, in a session of its own: what a daemon does.
    script = "import os; os.fork() and os._exit(0); os.setsid(); os.fork() and os._exit(0); "
    script += f"open({str(path)!r}, 'a').write(f'{{os.getpid()}}\\n'); os.execvp('sleep', ['sleep', '1000'])"
    subprocess.run([sys.executable, "-c", script], check=True)
    if fire.payload == "overrun":
        time.sleep(60)


def _append(path: Path, pid: int) -> None:
    with path.open("a") as file:
        file.write(f"{pid}\n")


def _drop_privilege(number: int) -> None:
    """Take a capability of Linux from this thread."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)()
    libc = ctypes.CDLL(None)
    libc.capget(header, sets)
    for index in (0, 1):  # effective and permitted
        sets[index] &= ~(1 << number)
    libc.capset(header, sets)


@handler("cluster.leave")
def leave_behind(fire: Fire) -> None:
    """Leaves what the payload names."""
    _note(fire)
    match fire.payload:
        case "autocommit":
            transaction.set_autocommit(False)
            ensure_group("lost")
        case "setting":
            with connection.cursor() as cursor:
                cursor.execute("SET search_path TO pg_catalog")
        case "directory":
            os.chdir("/")
        case "environment":
            os.environ["TZ"] = "Asia/Tokyo"
        case "limit":
            resource.setrlimit(resource.RLIMIT_MSGQUEUE, (1, 1))
            _drop_privilege(24)  # CAP_SYS_RESOURCE: with it the limit could be raised again
        case "exit":
            os._exit(4)


@handler("cluster.write")
def write(fire: Fire) -> None:
    """Writes a row, which must be there when it has succeeded, and expects the state that it always had."""
    _note(fire)
    if os.environ.get("TZ") == "Asia/Tokyo" or not Path("manage.py").exists():
        raise Fail("another handler's state")
    ensure_group(f"written-{fire.name}")


@handler("cluster.segfault")
def segfault(fire: Fire) -> None:
    """Reads address 0."""
    _note(fire)
    ctypes.string_at(0)


@handler("cluster.close_files")
def close_files(fire: Fire) -> None:
    """Closes the first descriptors of its process, whoever needs them."""
    _note(fire)
    os.closerange(0, 21)


@handler("cluster.deaf", timeout=2)
def deaf(fire: Fire) -> None:
    """Overruns its limit, in a process that ignores SIGTERM from now on."""
    _note(fire)
    ctypes.CDLL(None).signal(signal.SIGTERM, ctypes.c_void_p(1))
    time.sleep(60)


@handler("cluster.memory")
def memory(fire: Fire) -> None:
    """Takes a gigabyte where a quarter of it is allowed."""
    _note(fire)
    before = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + 2**28, before[1]))
    try:
        bytearray(2**30)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@handler("cluster.leak")
def leak(fire: Fire) -> None:
    """Leaves an open file and a thread behind."""
    os.open("/dev/null", os.O_RDONLY)
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
