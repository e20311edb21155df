"""State that a handler can change for its whole process or thread: changes are attributed, and the state is restored.

The functions that make such changes are wrapped in worker processes, before handlers are imported. A call is recorded
with the execution for which it is made (by contextvar, so also for a coroutine). At the end of that execution the value
is compared and restored; handlers that call none of these functions cost no check. On Linux each handler thread has its
own current directory and umask, so other handlers do not even see a change in the meantime.

Some attributes of modules (the standard streams, sys.path) can change without any call: they are compared after every
handler. Entries appended to sys.path are kept, because libraries that are imported late append theirs. If the state
cannot be restored (a hard limit without privileges), the worker is replaced.
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
"""The execution that last changed a kind, by kind and thread (0: the process)."""
_before: dict[tuple[Kind, int], Any] = {}
_attributes: list[Any] = []
"""The correct values of _ATTRIBUTES; empty: not recorded."""
_noted_path: list[str] = []
"""The entries of sys.path when the process was recorded."""
_path: list[str] = []
"""The correct entries of sys.path: the recorded ones, and those appended since."""
_suspected: dict[str, list[str]] = {}
"""Attributes found changed while several executions ran, and the names of the first timers among them."""
_not_restored: list[str] = []
"""Why this process must be replaced: state that could not be restored."""


def wrap_changers() -> None:
    """Wrap the functions that change state; once, before handlers are imported, as they may import the functions."""
    for kind in KINDS:
        for module, name in kind.changers:
            original = getattr(module, name, None)
            if original is not None:
                setattr(module, name, _noting(kind, original))


def note_process() -> None:
    """Record the present state of the process as the correct one; once, when handlers and settings are imported."""
    for kind in KINDS:
        if not kind.of_thread:
            _before[kind, 0] = kind.read()
    _attributes[:] = [getattr(owner, name) for owner, name in _ATTRIBUTES]
    _noted_path[:] = _path[:] = sys.path


def begin_thread() -> None:
    """Give this handler thread its own directory and umask (Linux), and record its present state as the correct one."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).unshare(_CLONE_FS)
    for kind in KINDS:
        if kind.of_thread:
            _before[kind, threading.get_ident()] = kind.read()


def left_by(execution: Execution, is_alone: Callable[[], bool]) -> Sequence[str]:
    """Restore what an execution has changed, in its thread, after its end. Return what that was, as text.

    Args:
        execution: the one that has ended.
        is_alone: returns whether nothing else runs in the process; called if that decides which execution changed
            something.
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
    """Return a change that could not be restored: other handlers must not run in this process. None: there is none."""
    return _not_restored[0] if _not_restored else None


def _attributes_are_right() -> bool:
    # In the order of _ATTRIBUTES; spelled out, because this runs after every handler. Identity is compared first.
    https = ssl._create_default_https_context  # noqa: SLF001 - user code replaces it to turn verification off
    values = [sys.stdout, sys.stderr, sys.stdin, sys.excepthook, threading.excepthook, https, sys.path]
    return values == _attributes and (sys.path == _path or _is_only_appended())


def _is_only_appended() -> bool:
    """Accept the present sys.path as the correct one if entries were only appended, each once.

    They may also have been removed again: another handler can append them for the duration of a block.
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
        # Threads that a handler starts share its own directory and umask, and are not checked otherwise.
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
        # After the restore, which calls the same functions.
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
    except Exception as error:  # noqa: BLE001 - after any error the process is replaced
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
        # It may be another handler's, for the duration of a block: it is checked again when that has ended.
        for owner, name, _ in changed:
            suspects = _suspected.setdefault(f"{owner.__name__}.{name}", [])
            name_of_timer = f"{execution.group.name}/{execution.name}"
            # A handler may never run alone: a busy worker checks the change after each of its executions.
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
