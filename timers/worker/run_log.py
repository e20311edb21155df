"""What a handler logs while it runs is kept with its try, up to a limit."""

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
    """Appends records to the log of the try that runs in this thread or task, if one does."""

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
    """Catch what handlers log, from INFO on, beside what the installation's own logging does."""
    catcher = RunLogHandler(logging.INFO)
    catcher.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(catcher)


def begin() -> None:
    """A try begins in this context."""
    _log.set(_Log())


def end() -> str | None:
    """The log of the try that ends, or None when it logged nothing."""
    log = _log.get()
    _log.set(None)
    if log is None or not log.lines:
        return None
    # Cut before, as a line may be very long, and after, as what cannot be stored is spelt out.
    return storable("\n".join(log.lines)[:MAX_CHARACTERS])[:MAX_CHARACTERS]
