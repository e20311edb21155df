"""What a handler can change for its whole process or thread: who changed it is noted, and it is put back.

The functions that make such changes are wrapped in worker processes, before handlers are imported. A call is noted with
the execution on whose behalf it is made (by contextvar, so also for a coroutine), and at the end of that execution the
value is compared and put back: nothing is looked at for handlers that call none of them. On Linux each handler thread
has a current directory and a umask of its own, so a change is not even seen by neighbours meanwhile.

Standard streams are plain attributes, which no call changes: they are compared after every handler.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import functools
import gc
import locale
import logging
import os
import random
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from timers.worker.current import current

if TYPE_CHECKING:  # Imported before Django is set up.
    from timers.lifecycle.execution import Execution

logger = logging.getLogger(__name__)

_CLONE_FS: Final = 0x200
NOTHING: Final = ()
_STREAMS: Final = ("stdout", "stderr", "stdin")


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """One kind of state: how it is read and put back, and which functions change it."""

    name: str
    read: Callable[[], Any]
    restore: Callable[[Any], object]
    changers: tuple[tuple[Any, str], ...]
    """Module (or class) and name of each function."""
    of_thread: bool = False
    """Whether each thread has its own."""
    words: Callable[[Any, Any], str] | None = None
    """Names what differs between the value before and after; without it the kind's name says enough."""


def _read_umask() -> int:
    mask = _umask(0o077)
    _umask(mask)
    return mask


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
    # As catch_warnings does: a new list, and the caches of "once" and "default" are void.
    warnings.filters = list(filters)
    with _catch_warnings():
        pass


_umask = os.umask
_chdir = os.chdir
_setlocale = locale.setlocale
_catch_warnings = warnings.catch_warnings

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
        "the garbage collector", gc.isenabled, lambda on: gc.enable() if on else gc.disable(),
        ((gc, "disable"), (gc, "enable")),
    ),
    Kind(
        "disabled logging", lambda: logging.root.manager.disable, logging.disable, ((logging, "disable"),),
    ),
    Kind(
        "the asyncio event loop policy", lambda: getattr(asyncio.events, "_event_loop_policy", None),
        lambda value: setattr(asyncio.events, "_event_loop_policy", value), ((asyncio, "set_event_loop_policy"),),
    ),
    Kind(
        "an interval timer", lambda: signal.getitimer(signal.ITIMER_REAL)[0] > 0,
        lambda _: signal.setitimer(signal.ITIMER_REAL, 0), ((signal, "setitimer"), (signal, "alarm")),
    ),
    Kind(
        "blocked signals", lambda: signal.pthread_sigmask(signal.SIG_BLOCK, []),
        lambda mask: signal.pthread_sigmask(signal.SIG_SETMASK, mask), ((signal, "pthread_sigmask"),), of_thread=True,
    ),
    Kind("a trace function", sys.gettrace, sys.settrace, ((sys, "settrace"),), of_thread=True),
    Kind("a profile function", sys.getprofile, sys.setprofile, ((sys, "setprofile"),), of_thread=True),
    # No value to compare, and no fault: what others draw is random again.
    Kind("the random seed", lambda: None, lambda _: random.seed(), ((random, "seed"),)),
)  # fmt: skip

_touched: dict[tuple[Kind, int], Execution] = {}
"""Who changed a kind last, by kind and thread (0: the process)."""
_before: dict[tuple[Kind, int], Any] = {}
_streams: list[Any] = []
_suspected: dict[str, list[str]] = {}
"""Streams that were found replaced while several executions ran, and their timers' names."""


def wrap_changers() -> None:
    """Note calls of what changes state; once, before handlers are imported, for they may import the functions."""
    for kind in KINDS:
        for module, name in kind.changers:
            original = getattr(module, name, None)
            if original is not None:
                setattr(module, name, _noting(kind, original))


def note_process() -> None:
    """Note the present state of the process as the right one; once, when handlers and settings are imported."""
    for kind in KINDS:
        if not kind.of_thread:
            _before[kind, 0] = kind.read()
    _streams[:] = [getattr(sys, name) for name in _STREAMS]


def begin_thread() -> None:
    """Give this handler thread its own directory and umask (Linux), and note its present state as the right one."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).unshare(_CLONE_FS)
    for kind in KINDS:
        if kind.of_thread:
            _before[kind, threading.get_ident()] = kind.read()


def left_by(execution: Execution, is_alone: Callable[[], bool]) -> Sequence[str]:
    """Put back what an execution has changed, in its thread, after its end; returns what that was, in words.

    Args:
        execution: the one that has ended.
        is_alone: whether nothing else runs in the process; asked where that decides who changed something.
    """
    if not _touched and [sys.stdout, sys.stderr, sys.stdin] == _streams:
        if _suspected:
            _suspected.clear()
        return NOTHING
    left = _changes_of(execution)
    if _streams and [sys.stdout, sys.stderr, sys.stdin] != _streams:
        left += _replaced_streams(execution, is_alone())
    return left


def _noting(kind: Kind, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def noting(*args: Any, **options: Any) -> Any:
        execution = current.get()
        if execution is not None:
            _touched[kind, threading.get_ident() if kind.of_thread else 0] = execution
        return original(*args, **options)

    return noting


def _changes_of(execution: Execution) -> list[str]:
    left = []
    for (kind, thread), who in list(_touched.items()):
        if who is not execution:
            continue
        before, after = _before.get((kind, thread)), _value(kind)
        if kind.restore is not None and (after != before or after is None):
            try:
                kind.restore(before)
            except Exception:
                logger.exception("%s cannot be put back", kind.name)
        if after != before:
            left.append(kind.name if kind.words is None else kind.words(before, after))
        # After the restore, which is a call of the same functions.
        _touched.pop((kind, thread), None)
    return left


def _value(kind: Kind) -> Any:
    try:
        return kind.read()
    except OSError as error:  # The current directory was removed.
        return error


def _replaced_streams(execution: Execution, is_alone: bool) -> list[str]:
    replaced = {name: right for name, right in zip(_STREAMS, _streams, strict=True) if getattr(sys, name) is not right}
    if not is_alone:
        # It may be a neighbour's, for the time of a block: it is looked at again when that has ended.
        for name in replaced:
            _suspected.setdefault(name, []).append(f"{execution.group.name}/{execution.name}")
        return []
    left = []
    for name, right in replaced.items():
        setattr(sys, name, right)
        suspects = _suspected.pop(name, None)
        if suspects is None:
            left.append(f"sys.{name}")
        else:
            logger.warning("sys.%s was replaced and is put back; one of %s left it so", name, ", ".join(suspects[:20]))
    return left
