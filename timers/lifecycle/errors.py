"""Errors of handlers, as the ledger keeps them: a title, a traceback, a fingerprint that groups the same fault."""

from __future__ import annotations

import re
import traceback
from dataclasses import dataclass
from hashlib import blake2b
from types import TracebackType

from timers.payload import storable

TITLE_LENGTH = 300
DETAIL_LENGTH = 16_000

_VARYING = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|0x[0-9a-fA-F]+|\d+|'[^']{0,200}'|\"[^\"]{0,200}\"")


@dataclass(frozen=True, slots=True)
class Description:
    """How a fault is recorded."""

    title: str
    detail: str
    fingerprint: str


def describe(error: BaseException) -> Description:
    """Title, traceback (from the handler on, without our own frames) and fingerprint of an exception."""
    kind = type(error).__name__
    message = message_of(error)
    title = f"{kind}: {message}" if message else kind
    frames = _without_ours(error.__traceback__)
    detail = storable("".join(traceback.format_exception(type(error), error, frames)))
    place = traceback.extract_tb(frames)
    where = f"{place[-1].filename}:{place[-1].name}" if place else ""
    return Description(_short(title, TITLE_LENGTH), detail[-DETAIL_LENGTH:], fingerprint(kind, where, message))


def message_of(error: BaseException) -> str:
    """The text of an exception, also of one that cannot say it."""
    try:
        return storable(str(error))
    except Exception:  # noqa: BLE001 - user code: its __str__ may raise anything
        return "(its text could not be had)"


def fingerprint(kind: str, where: str, message: str) -> str:
    """The same for the same fault: numbers, ids and quoted text in the message are left out."""
    same = _VARYING.sub("?", message)[:500]
    return blake2b(f"{kind}|{where}|{same}".encode(), digest_size=16).hexdigest()


def _without_ours(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_next is not None and "/timers/worker/" in trace.tb_frame.f_code.co_filename:
        trace = trace.tb_next
    return trace


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 3] + "..."
