"""Id of the request that the current thread handles; it appears in the response, the log and the audit trail."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import Final

current_request_id: Final[ContextVar[str]] = ContextVar("timers_request_id", default="")
"""Set for each request and not reset, because Django logs a refusal after everything else has finished."""


class WithRequestId(logging.Filter):
    """Log filter that adds the request's id to each record: `request_id`, and in brackets for text, `of_request`."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the id; never drop a record."""
        request_id = current_request_id.get()
        record.of_request = f" [{request_id}]" if request_id else ""
        if request_id:
            record.request_id = request_id
        return True
