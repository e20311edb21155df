"""Format of log lines: readable text for a console, or one JSON object per line for a log collector."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from timers.security.request_id import WithRequestId

_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "of_request"}


class JsonLine(logging.Formatter):
    """One JSON object per record: time (UTC), level, logger, process, message, the caller's `extra`, traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _OWN}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class ToldByWhoAnswered(logging.Filter):
    """Drop Django's own line and traceback about a 503: the code that responds with 503 logs the reason in one line."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return False for those records."""
        return getattr(record, "status_code", None) != HTTPStatus.SERVICE_UNAVAILABLE


class WithoutTracebackOfRefusal(logging.Filter):
    """Drop the traceback from lines about refused requests: 4xx responses are not errors of the server."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True; remove the traceback from records about refused requests."""
        status = getattr(record, "status_code", None)
        if status is not None and HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
            record.exc_info = record.exc_text = record.stack_info = None
        return True


def configuration(log_format: str, level: str) -> dict[str, Any]:
    """Return Django's LOGGING for `text` or `json`; every process writes to standard error."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "text": {
                "format": "%(asctime)s %(levelname)-7s %(name)s%(of_request)s: %(message)s",
                "datefmt": "%H:%M:%S",
            },
            "json": {"()": JsonLine},
        },
        "filters": {
            "request_id": {"()": WithRequestId},
            "told": {"()": ToldByWhoAnswered},
            "refusals": {"()": WithoutTracebackOfRefusal},
        },
        "handlers": {
            "console": {
                "class": "logging.StreamHandler",
                "formatter": log_format,
                "filters": ["request_id", "refusals"],
            },
        },
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            "django": {"handlers": [], "level": level, "propagate": True},
            "django.request": {"filters": ["told"]},
            "django.server": {"handlers": [], "level": level, "propagate": True},
        },
    }
