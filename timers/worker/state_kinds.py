"""The kinds of state that a handler can change for its whole process or thread by calling a function.

A kind costs nothing for handlers that call none of its functions; process_state wraps these.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import locale
import logging
import logging.config
import os
import random
import resource
import signal
import socket
import sys
import threading
import time
import tracemalloc
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from timers.worker.settings_state import CHANGERS as SETTINGS_CHANGERS
from timers.worker.settings_state import changed_settings, read_settings, restore_settings


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """One kind of state: how to read and restore it, and which functions change it."""

    name: str
    read: Callable[[], Any]
    restore: Callable[[Any], object]
    changers: tuple[tuple[Any, str], ...]
    """Module (or class) and name of each function."""
    of_thread: bool = False
    """Whether each thread has its own."""
    words: Callable[[Any, Any], str] | None = None
    """Describes the difference between the value before and after; None: the kind's name is sufficient."""
    is_changed_by: Callable[[tuple[Any, ...]], bool] = lambda _: True
    """Returns whether a call with these positional arguments can change it: not every object of a class is compared."""


def _read_umask() -> int:
    mask = _umask(0o077)
    _umask(mask)
    return mask


def _read_stack_size() -> int:
    # Reading it sets it to the default: CPython treats a missing size as 0.
    size = _stack_size()
    _stack_size(size)
    return size


def _restore_environment(before: dict[str, str]) -> None:
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    for name, value in before.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _changed_variables(before: dict[str, str], after: dict[str, str]) -> str:
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    return f"environment variables ({', '.join(names)[:100]})"


def _restore_filters(before: tuple[list[Any], Any]) -> None:
    filters, warnings.showwarning = before
    # As catch_warnings does: a new list, and the caches of "once" and "default" are invalidated.
    warnings.filters = list(filters)
    with _catch_warnings():
        pass


_LIMITS: Final[dict[int, str]] = {
    getattr(resource, name): name for name in reversed(dir(resource)) if name.startswith("RLIMIT_")
}
"""By number: some have two names, of which the first is used."""


def _read_limits() -> dict[str, tuple[int, int]]:
    return {name: resource.getrlimit(number) for number, name in _LIMITS.items()}


def _restore_limits(before: dict[str, tuple[int, int]]) -> None:
    after = _read_limits()
    for name, limits in before.items():
        if after[name] != limits:
            # First what any process may do: a hard limit that was lowered can only be raised with privileges.
            with contextlib.suppress(OSError, ValueError):
                _setrlimit(getattr(resource, name), (min(limits[0], after[name][1]), after[name][1]))
            _setrlimit(getattr(resource, name), limits)


def _changed_limits(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> str:
    return f"resource limits ({', '.join(name for name in before if before[name] != after.get(name))})"


def _of_thread_and_main(read: Callable[[int], Any], write: Callable[[int, Any], object]) -> dict[str, Any]:
    """Return functions for state that Linux keeps per thread, where the process id means the main thread."""

    def restore(before: tuple[Any, ...]) -> None:
        for thread, value in zip((0, os.getpid()), before, strict=True):
            if read(thread) != value:
                write(thread, value)

    return {"read": lambda: (read(0), read(os.getpid())), "restore": restore, "of_thread": True}


def _read_scheduler(thread: int) -> tuple[int, int]:
    return os.sched_getscheduler(thread), os.sched_getparam(thread).sched_priority


def _read_identity() -> tuple[Any, ...]:
    return os.getresuid(), os.getresgid(), tuple(os.getgroups())


def _restore_identity(before: tuple[Any, ...]) -> None:
    users, groups, more = before
    if os.getresuid() != users:
        os.setresuid(*users)
    if os.getresgid() != groups:
        os.setresgid(*groups)
    if tuple(os.getgroups()) != more:
        os.setgroups(more)


def _read_logging() -> tuple[Any, ...]:
    loggers = logging.root.manager.loggerDict
    disabled = {name for name, found in list(loggers.items()) if getattr(found, "disabled", False)}
    return logging.root.level, list(logging.root.handlers), disabled


def _restore_logging(before: tuple[Any, ...]) -> None:
    level, handlers, disabled = before
    logging.root.setLevel(level)
    logging.root.handlers[:] = handlers
    for name, found in list(logging.root.manager.loggerDict.items()):
        if isinstance(found, logging.Logger):
            found.disabled = name in disabled


def _may_change_logging(arguments: tuple[Any, ...]) -> bool:
    # Of the loggers' own levels and handlers, only the root logger's are compared.
    return not arguments or not isinstance(arguments[0], logging.Logger) or arguments[0] is logging.root


def _read_timers() -> list[int]:
    return [which for which in _INTERVAL_TIMERS if signal.getitimer(which)[0] > 0]


def _stop_timers(before: list[int]) -> None:
    for which in _read_timers():
        if which not in before:
            signal.setitimer(which, 0)


def _restore_collector(before: tuple[Any, ...]) -> None:
    is_enabled, threshold, debug = before
    (gc.enable if is_enabled else gc.disable)()
    gc.set_threshold(*threshold)
    gc.set_debug(debug)


_umask = os.umask
_chdir = os.chdir
_setlocale = locale.setlocale
_catch_warnings = warnings.catch_warnings
_setrlimit = resource.setrlimit
_stack_size = threading.stack_size
_INTERVAL_TIMERS: Final = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)


def _of_linux() -> tuple[Kind, ...]:
    return (
        Kind(
            "the processor affinity", changers=((os, "sched_setaffinity"),),
            **_of_thread_and_main(os.sched_getaffinity, os.sched_setaffinity),
        ),
        Kind(
            "the scheduling policy", changers=((os, "sched_setscheduler"), (os, "sched_setparam")),
            **_of_thread_and_main(
                _read_scheduler,
                lambda thread, value: os.sched_setscheduler(thread, value[0], os.sched_param(value[1])),
            ),
        ),
        Kind(
            "the user or group of the process", _read_identity, _restore_identity,
            tuple((os, name) for name in (
                "setuid", "seteuid", "setreuid", "setresuid", "setgid", "setegid", "setregid", "setresgid", "setgroups",
                "initgroups",
            )),
        ),
    )  # fmt: skip


KINDS: Final = (
    Kind("the current directory", os.getcwd, _chdir, ((os, "chdir"), (os, "fchdir")), of_thread=True),
    Kind("the umask", _read_umask, _umask, ((os, "umask"),), of_thread=True),
    Kind(
        "environment variables", lambda: dict(os.environ), _restore_environment,
        ((os, "putenv"), (os, "unsetenv")), words=_changed_variables,
    ),
    Kind("the local time zone", lambda: (time.tzname, time.timezone), lambda _: time.tzset(), ((time, "tzset"),)),
    Kind(
        "the locale", lambda: _setlocale(locale.LC_ALL), lambda value: _setlocale(locale.LC_ALL, value),
        ((locale, "setlocale"),),
    ),
    Kind(
        "warning filters", lambda: (list(warnings.filters), warnings.showwarning), _restore_filters,
        ((warnings, "simplefilter"), (warnings, "filterwarnings"), (warnings, "resetwarnings"),
         (warnings.catch_warnings, "__enter__")),
    ),
    Kind(
        "the default socket timeout", socket.getdefaulttimeout, socket.setdefaulttimeout,
        ((socket, "setdefaulttimeout"),),
    ),
    Kind("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit, ((sys, "setrecursionlimit"),)),
    Kind("the thread switch interval", sys.getswitchinterval, sys.setswitchinterval, ((sys, "setswitchinterval"),)),
    Kind(
        "the garbage collector", lambda: (gc.isenabled(), gc.get_threshold(), gc.get_debug()), _restore_collector,
        ((gc, "disable"), (gc, "enable"), (gc, "set_threshold"), (gc, "set_debug")),
    ),
    Kind(
        "disabled logging", lambda: logging.root.manager.disable, logging.disable, ((logging, "disable"),),
    ),
    Kind(
        "the asyncio event loop policy", lambda: getattr(asyncio.events, "_event_loop_policy", None),
        lambda value: setattr(asyncio.events, "_event_loop_policy", value), ((asyncio, "set_event_loop_policy"),),
    ),
    Kind(
        "an interval timer", _read_timers, _stop_timers, ((signal, "setitimer"), (signal, "alarm")),
    ),
    Kind(
        "blocked signals", lambda: signal.pthread_sigmask(signal.SIG_BLOCK, []),
        lambda mask: signal.pthread_sigmask(signal.SIG_SETMASK, mask), ((signal, "pthread_sigmask"),), of_thread=True,
    ),
    Kind("a trace function", sys.gettrace, sys.settrace, ((sys, "settrace"),), of_thread=True),
    Kind("a profile function", sys.getprofile, sys.setprofile, ((sys, "setprofile"),), of_thread=True),
    Kind(
        "a trace function of new threads", threading.gettrace, threading.settrace,
        ((threading, "settrace"),),
    ),
    Kind(
        "a profile function of new threads", threading.getprofile, threading.setprofile,
        ((threading, "setprofile"),),
    ),
    Kind("the stack size of new threads", _read_stack_size, _stack_size, ((threading, "stack_size"),)),
    Kind(
        "tracing of memory", tracemalloc.is_tracing, lambda on: tracemalloc.start() if on else tracemalloc.stop(),
        ((tracemalloc, "start"), (tracemalloc, "stop")),
    ),
    Kind(
        "the root logger or disabled loggers", _read_logging, _restore_logging,
        ((logging.Logger, "setLevel"), (logging.Logger, "addHandler"), (logging.Logger, "removeHandler"),
         (logging.config, "dictConfig"), (logging.config, "fileConfig")),
        is_changed_by=_may_change_logging,
    ),
    Kind("settings", read_settings, restore_settings, SETTINGS_CHANGERS, words=changed_settings),
    Kind(
        "resource limits", _read_limits, _restore_limits, ((resource, "setrlimit"), (resource, "prlimit")),
        words=_changed_limits,
    ),
    Kind(
        "the priority", changers=((os, "nice"), (os, "setpriority")),
        **_of_thread_and_main(
            lambda thread: os.getpriority(os.PRIO_PROCESS, thread),
            lambda thread, value: os.setpriority(os.PRIO_PROCESS, thread, value),
        ),
    ),
    *(_of_linux() if sys.platform == "linux" else ()),
    # There is no value to compare, and no fault: the numbers of other handlers are made random again.
    Kind("the random seed", lambda: None, lambda _: random.seed(), ((random, "seed"), (random, "setstate"))),
    # A pending dump may end the process.
    Kind(
        "a dump of tracebacks", lambda: None, lambda _: faulthandler.cancel_dump_traceback_later(),
        ((faulthandler, "dump_traceback_later"),),
    ),
)  # fmt: skip
