"""Errors of handlers as the ledger stores them: a title, a traceback, and a fingerprint that groups equal errors.

An exception is an object of user code: its text, attributes, class and chain of causes may raise, be wrong or be
endless. Nothing here raises or takes long, whatever the exception is.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from types import TracebackType
from typing import Final

from timers.domain.payload import storable

TITLE_LENGTH = 300
DETAIL_LENGTH = 16_000
NO_TEXT: Final = "(its text could not be had)"
NO_TRACEBACK: Final = "(its traceback could not be made)\n"
MAX_CHAINED: Final = 50
"""Maximum number of causes, contexts and group members that are shown; an exception with more is shown alone."""
MAX_FRAMES: Final = 2_000
"""Frames beyond which only the last frames of a traceback are shown."""
LAST_FRAMES: Final = 100

_VARYING = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|0x[0-9a-fA-F]+|\d+|'[^']{0,200}'|\"[^\"]{0,200}\"")


@dataclass(frozen=True, slots=True)
class Description:
    """The stored form of an error."""

    title: str
    detail: str
    fingerprint: str


def describe(error: BaseException) -> Description:
    """Return title, traceback (from the handler on, without internal frames) and fingerprint. Never raises."""
    kind, message = kind_of(error), message_of(error)
    frames = _frames(error)
    return Description(_title(kind, message), _detail(error, frames), fingerprint(kind, _place(frames), message))


def short_title(error: BaseException) -> str:
    """Return the class and text of an exception in one line. Never raises."""
    return _title(kind_of(error), message_of(error).partition("\n")[0])


def kind_of(error: BaseException) -> str:
    """Return the name of an exception's class. Never raises."""
    try:
        return storable(type.__dict__["__name__"].__get__(type(error)))
    except BaseException:  # noqa: BLE001 - the class is user code too
        return "exception"


def message_of(error: BaseException) -> str:
    """Return the text of an exception, cut to the length of a detail, or NO_TEXT. Never raises."""
    try:
        # Use the base class's own methods: __str__ may return a subclass of str that overrides them.
        return storable(str.__str__(str.__getitem__(str(error), slice(DETAIL_LENGTH))))
    except BaseException:  # noqa: BLE001 - user code: its __str__ may raise anything
        return NO_TEXT


def fingerprint(kind: str, where: str, message: str) -> str:
    """Return a fingerprint, the same for equal errors: numbers, ids and quoted text of the message are left out.

    Args:
        kind: the class of the error.
        where: file and function.
        message: the text of the error.
    """
    same = _VARYING.sub("?", message)[:500]
    return blake2b(f"{kind}|{where}|{same}".encode(), digest_size=16).hexdigest()


def _title(kind: str, message: str) -> str:
    return short(f"{kind}: {message}" if message else kind)


def _frames(error: BaseException) -> TracebackType | None:
    try:
        # Use the descriptor of BaseException: a class may define an attribute of that name.
        trace = BaseException.__dict__["__traceback__"].__get__(error)
    except BaseException:  # noqa: BLE001 - see the module's text
        return None
    while trace is not None and trace.tb_next is not None and "/timers/worker/" in trace.tb_frame.f_code.co_filename:
        trace = trace.tb_next
    return trace if isinstance(trace, TracebackType) else None


def _detail(error: BaseException, frames: TracebackType | None) -> str:
    """Return the most that can be shown: everything, the exception alone, its frames, or a note."""
    limit = -LAST_FRAMES if _is_deep(frames) else None
    try:
        if _is_short_chain(error):
            lines = traceback.format_exception(type(error), error, frames, limit=limit)
            return storable("".join(lines)[-DETAIL_LENGTH:])[-DETAIL_LENGTH:]
    except BaseException:  # noqa: BLE001, S110 - less is shown
        pass
    last = f"{_title(kind_of(error), message_of(error))}\n"
    try:
        text = "".join(["Traceback (most recent call last):\n", *traceback.format_tb(frames, limit=limit), last])
        return storable(text[-DETAIL_LENGTH:])[-DETAIL_LENGTH:]
    except BaseException:  # noqa: BLE001 - source lines are had from user code too
        return NO_TRACEBACK + last


def _is_deep(frames: TracebackType | None) -> bool:
    count = 0
    while frames is not None and count <= MAX_FRAMES:
        frames, count = frames.tb_next, count + 1
    return count > MAX_FRAMES


def _is_short_chain(error: BaseException) -> bool:
    """Whether an exception, its causes and members can be shown quickly. Cycles are allowed."""
    left, seen = [error], {id(error)}
    while left:
        for linked in _linked(left.pop()):
            if id(linked) not in seen:
                seen.add(id(linked))
                left.append(linked)
        if len(seen) > MAX_CHAINED:
            return False
    return True


def _linked(error: BaseException) -> Iterator[BaseException]:
    for linked in (error.__cause__, error.__context__):
        if linked is not None:
            yield linked
    if isinstance(error, BaseExceptionGroup):
        yield from error.exceptions[: MAX_CHAINED + 1]


def _place(frames: TracebackType | None) -> str:
    """Return file and function of the innermost frame."""
    if frames is None:
        return ""
    while frames.tb_next is not None:
        frames = frames.tb_next
    code = frames.tb_frame.f_code
    return f"{code.co_filename}:{code.co_name}"


def short(text: str, length: int = TITLE_LENGTH) -> str:
    """Cut a text to the length of a title."""
    return text if len(text) <= length else text[: length - 3] + "..."
