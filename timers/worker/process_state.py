"""What a handler can change for its whole process or thread: who changed it is noted, and it is put back.

The functions that make such changes are wrapped in worker processes, before handlers are imported. A call is noted with
the execution on whose behalf it is made (by contextvar, so also for a coroutine), and at the end of that execution the
value is compared and put back: nothing is looked at for handlers that call none of them. On Linux each handler thread
has a current directory and a umask of its own, so a change is not even seen by neighbours meanwhile.

Some attributes of modules (the standard streams, sys.path) are changed by no call: they are compared after every
handler. Entries that were appended to sys.path stay: libraries that are imported late append theirs. What cannot be put
back (a hard limit without privileges) makes the worker be replaced.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import logging
import ssl
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from timers.worker.current import current
from timers.worker.state_kinds import KINDS, Kind

if TYPE_CHECKING:  # Imported before Django is set up.
    from timers.engine.execution import Execution

logger = logging.getLogger(__name__)

_CLONE_FS: Final = 0x200
NOTHING: Final = ()
MOST_SUSPECTS: Final = 20
_ATTRIBUTES: Final = (
    (sys, "stdout"), (sys, "stderr"), (sys, "stdin"), (sys, "excepthook"), (threading, "excepthook"),
    (ssl, "_create_default_https_context"), (sys, "path"),
)  # fmt: skip


_touched: dict[tuple[Kind, int], Execution] = {}
"""Who changed a kind last, by kind and thread (0: the process)."""
_before: dict[tuple[Kind, int], Any] = {}
_attributes: list[Any] = []
"""The right values of _ATTRIBUTES; empty: not noted."""
_noted_path: list[str] = []
"""The entries of sys.path when the process was noted."""
_path: list[str] = []
"""The right entries of sys.path: the noted ones, and what has been appended since."""
_suspected: dict[str, list[str]] = {}
"""Attributes that were found changed while several executions ran, and the first of their timers' names."""
_not_restored: list[str] = []
"""Why this process must be replaced: what could not be put back."""


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
    _attributes[:] = [getattr(owner, name) for owner, name in _ATTRIBUTES]
    _noted_path[:] = _path[:] = sys.path


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
    if not _touched and _attributes_are_right():
        if _suspected:
            _suspected.clear()
        return NOTHING
    left = _changes_of(execution)
    if _attributes and not _attributes_are_right():
        left += _changed_attributes(execution, is_alone())
    return left


def not_restored() -> str | None:
    """Return what a handler left and could not be put back: other handlers must not run in this process."""
    return _not_restored[0] if _not_restored else None


def _attributes_are_right() -> bool:
    # In the order of _ATTRIBUTES; written out, for this runs after every handler. Identity is compared first.
    https = ssl._create_default_https_context  # noqa: SLF001 - people replace it to turn verification off
    values = [sys.stdout, sys.stderr, sys.stdin, sys.excepthook, threading.excepthook, https, sys.path]
    return values == _attributes and (sys.path == _path or _is_only_appended())


def _is_only_appended() -> bool:
    """Take the present sys.path for the right one if all that was done to it is to append entries, each once.

    They may be gone again as well: a neighbour can have appended them for the time of a block.
    """
    number = len(_noted_path)
    appended = sys.path[number:]
    if sys.path[:number] != _noted_path or any(sys.path.count(entry) > 1 for entry in appended):
        return False
    for entry in appended:
        if entry not in _path:
            logger.info("sys.path: %s was appended, and stays for all handlers of this process", entry)
    _path[:] = sys.path
    return True


def _noting(kind: Kind, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def noting(*args: Any, **options: Any) -> Any:
        execution = current.get()
        if execution is not None and kind.is_changed_by(args):
            _touched[kind, threading.get_ident() if kind.of_thread else 0] = execution
        return original(*args, **options)

    return noting


def _changes_of(execution: Execution) -> list[str]:
    left = []
    for (kind, thread), who in list(_touched.items()):
        if who is not execution:
            continue
        # Threads that a handler uses share the directory and umask of its own, and are not looked at otherwise.
        key = (kind, threading.get_ident() if kind.of_thread else 0)
        if key not in _before:
            _touched.pop((kind, thread), None)
            continue
        before, after = _before[key], _value(kind)
        words = kind.name if kind.words is None or after == before else kind.words(before, after)
        if after != before or after is None:
            _restore(kind, before, f"{words}, left behind by {execution.group.name}/{execution.name}")
        if after != before:
            left.append(words)
        # After the restore, which is a call of the same functions.
        _touched.pop((kind, thread), None)
    return left


def _value(kind: Kind) -> Any:
    try:
        return kind.read()
    except OSError as error:  # The current directory was removed.
        return error


def _restore(kind: Kind, before: Any, words: str) -> None:
    try:
        kind.restore(before)
        is_restored = _value(kind) == before
    except Exception as error:  # noqa: BLE001 - whatever it is, the process is replaced
        logger.warning("%s cannot be put back: %s", words, error)
        is_restored = False
    if not is_restored:
        _not_restored.append(words)


def _changed_attributes(execution: Execution, is_alone: bool) -> list[str]:
    changed = [
        (owner, name, right)
        for (owner, name), right in zip(_ATTRIBUTES, _attributes, strict=True)
        if getattr(owner, name) is not right or (right is sys.path and right != _path)
    ]
    if not is_alone:
        # It may be a neighbour's, for the time of a block: it is looked at again when that has ended.
        for owner, name, _ in changed:
            suspects = _suspected.setdefault(f"{owner.__name__}.{name}", [])
            name_of_timer = f"{execution.group.name}/{execution.name}"
            # One may never run alone: a busy worker looks at the change after each of its executions.
            if len(suspects) < MOST_SUSPECTS and name_of_timer not in suspects:
                suspects.append(name_of_timer)
        return []
    left = []
    for owner, name, right in changed:
        setattr(owner, name, right)
        if name == "path":
            sys.path[:] = _path
        suspects = _suspected.pop(f"{owner.__name__}.{name}", [])
        if not suspects:
            left.append(f"{owner.__name__}.{name}")
        else:
            logger.warning(
                "%s.%s was changed and is put back; one of %s left it so",
                owner.__name__, name, ", ".join(suspects),
            )  # fmt: skip
    return left
