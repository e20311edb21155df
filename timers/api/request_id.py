"""The id of the request that a thread answers: what the answer, the log and the audit trail are found by."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import Final

current_request_id: Final[ContextVar[str]] = ContextVar("timers_request_id", default="")
"""Set for each request as it comes, and not reset: Django writes its line about a refusal when all else is over."""


class WithRequestId(logging.Filter):
    """Gives each log record of a request its id: `request_id`, and in brackets, for a line of text, `of_request`."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        request_id = current_request_id.get()
        record.of_request = f" [{request_id}]" if request_id else ""
        if request_id:
            record.request_id = request_id
        return True
