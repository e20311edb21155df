"""What a handler logs is stored with its attempt, up to a limit."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

from timers.domain.payload import storable

MAX_CHARACTERS: Final = 8_000


@dataclass(slots=True)
class _Log:
    lines: list[str] = field(default_factory=list)
    length: int = 0


_log: ContextVar[_Log | None] = ContextVar("timers_run_log", default=None)


class RunLogHandler(logging.Handler):
    """Appends records to the log of the attempt that runs in this thread or task, if any."""

    def emit(self, record: logging.LogRecord) -> None:
        log = _log.get()
        if log is None or log.length >= MAX_CHARACTERS:
            return
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - a log call with wrong arguments must not fail its handler
            self.handleError(record)
            return
        log.lines.append(line)
        log.length += len(line) + 1


def install() -> None:
    """Record what handlers log, from INFO on, in addition to the installation's own logging."""
    catcher = RunLogHandler(logging.INFO)
    catcher.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(catcher)


def begin() -> None:
    """Begin the log of an attempt in this context."""
    _log.set(_Log())


def end() -> str | None:
    """End the log of the attempt and return it; None if it logged nothing."""
    log = _log.get()
    _log.set(None)
    if log is None or not log.lines:
        return None
    # Cut before, as a line may be very long, and after, as characters that cannot be stored are escaped.
    return storable("\n".join(log.lines)[:MAX_CHARACTERS])[:MAX_CHARACTERS]
