"""What a handler logs while it runs is kept with its try, up to a limit."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import Final

from timers.worker.errors import storable

MAX_CHARACTERS: Final = 8_000

_lines: ContextVar[list[str] | None] = ContextVar("timers_run_log", default=None)


class RunLogHandler(logging.Handler):
    """Appends records to the log of the try that runs in this thread or task, if one does."""

    def emit(self, record: logging.LogRecord) -> None:
        lines = _lines.get()
        if lines is not None and sum(map(len, lines)) < MAX_CHARACTERS:
            lines.append(self.format(record))


def install() -> None:
    """Catch what handlers log, from INFO on, beside what the installation's own logging does."""
    catcher = RunLogHandler(logging.INFO)
    catcher.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(catcher)


def begin() -> None:
    """A try begins in this context."""
    _lines.set([])


def end() -> str | None:
    """The log of the try that ends, or None when it logged nothing."""
    lines = _lines.get()
    _lines.set(None)
    return storable("\n".join(lines)[:MAX_CHARACTERS]) if lines else None
