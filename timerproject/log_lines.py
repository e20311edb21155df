"""How log lines look: readable text for a console, or one JSON object per line for a collector."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from timers.security.request_id import WithRequestId

_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "of_request"}


class JsonLine(logging.Formatter):
    """One object per record: time (UTC), level, logger, process, message, the caller's `extra`, and a traceback."""

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
    """Keeps back Django's own line, and traceback, about a 503: whoever answers so has logged in one line why."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let all but those pass."""
        return getattr(record, "status_code", None) != HTTPStatus.SERVICE_UNAVAILABLE


class WithoutTracebackOfRefusal(logging.Filter):
    """Drops the traceback from lines about requests that were refused: 4xx answers are no faults of the server."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let all pass, those about refused requests in one line."""
        status = getattr(record, "status_code", None)
        if status is not None and HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
            record.exc_info = record.exc_text = record.stack_info = None
        return True


def configuration(log_format: str, level: str) -> dict[str, Any]:
    """Django's LOGGING for `text` or `json`; everything goes to standard error, as every line of every process does."""
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
