"""JSON Schemas of values that the service itself validates: durations, instants, policies, actions.

Validation is that of the Python API, so all interfaces report the same errors. These schemas only describe the values.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from timers import actions
from timers.domain import policies
from timers.domain.errors import ErrorCollector
from timers.domain.json_schema import Schema, choice, duration, keywords, maybe, number
from timers.domain.limit_keys import MAX_PATH

ANY: Final[Schema] = {"description": "Any JSON value."}
NAME: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": 200}
FLAG: Final[Schema] = {"type": "boolean"}
OBJECT: Final[Schema] = {"type": "object"}
NAMES: Final[Schema] = {"type": "array", "items": NAME}
ZONE: Final[Schema] = {
    "type": "string",
    "description": "An IANA time zone.",
    "default": "UTC",
    "examples": ["Europe/Berlin"],
}


def refuse_unknown(body: Collection[str], known: Collection[str]) -> None:
    """Raise InvalidRequest that names every unknown keyword."""
    mistakes = ErrorCollector()
    mistakes.refuse_unknown(body, known, where="here")
    mistakes.raise_if_any()


RATE: Final[Schema] = {
    "type": "string",
    "maxLength": 20,
    "description": "Executions per period: a count, a slash, and s, min, h, d or so many of them.",
    "examples": ["50/s", "100/min", "10/30s"],
}
KEY_PATH: Final[Schema] = {
    "type": "string",
    "maxLength": MAX_PATH,
    "description": "Where the payload of a timer that names no concurrency_key has it: member names and indexes.",
    "examples": ["payload.tenant", "payload.items[0].id"],
}


RETRY: Final[Schema] = {
    **keywords(
        {
            "max_retries": number(0, policies.MAX_RETRIES, whole=True),
            "min_backoff": duration(0, policies.MAX_SECONDS),
            "max_backoff": duration(0, policies.MAX_SECONDS),
            "jitter": number(0, 1),
            "delays": {"type": "array", "items": duration(0, policies.MAX_SECONDS)},
        },
        [],
    ),
    "description": "The wait before retry n is min_backoff * 2^(n-1), at most max_backoff; or the n-th of delays.",
}

_SECONDS: Final = duration(0, policies.MAX_SECONDS)
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}

POLICIES: Final[dict[str, Schema]] = {
    "retry": RETRY,
    "misfire_policy": choice(*policies.MISFIRE_POLICIES),
    "misfire_grace": _SECONDS,
    "max_lateness": maybe(_SECONDS),
    "max_catchup": _COUNT,
    "overlap_policy": choice(*policies.OVERLAP_POLICIES),
    "max_queued": _COUNT,
    "retry_blocks": {"type": "boolean"},
    "pause_after_failures": _COUNT,
    "exclusion_calendars": NAMES,
    "on_excluded": choice(*policies.ON_EXCLUDED),
    "attempt_timeout": _SECONDS,
    "on_failed": choice(*policies.ON_FAILED),
    "on_finish": choice(*policies.ON_FINISH),
}
"""Policies of a group; a timer can override each of them."""

ACTION: Final[Schema] = {
    "type": "object",
    "description": "What a fire does. Kinds: "
    + "; ".join(f"{name}: {kind.summary}" for name, kind in actions.KINDS.items())
    + ".",
    "examples": [dict(kind.example) for kind in actions.KINDS.values()],
}
