"""JSON Schemas of values that the service itself validates: durations, instants, policies, actions.

Validation is that of the Python API, so all interfaces report the same errors. These schemas only describe the values.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from timers import actions
from timers.domain import policies
from timers.domain.errors import ErrorCollector
from timers.domain.limit_keys import MAX_PATH

Schema = dict[str, Any]

ANY: Final[Schema] = {"description": "Any JSON value."}
NAME: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": 200}
TEXT: Final[Schema] = {"type": "string"}
FLAG: Final[Schema] = {"type": "boolean"}
OBJECT: Final[Schema] = {"type": "object"}
NAMES: Final[Schema] = {"type": "array", "items": NAME}
INSTANT: Final[Schema] = {
    "type": "string",
    "description": "An instant with its offset from UTC, as ISO 8601 has it.",
    "examples": ["2027-02-26T15:00:27+01:00"],
}
ZONE: Final[Schema] = {
    "type": "string",
    "description": "An IANA time zone.",
    "default": "UTC",
    "examples": ["Europe/Berlin"],
}


def number(low: float, high: float, words: str = "", *, whole: bool = False) -> Schema:
    """Return the schema of a number within limits."""
    schema: Schema = {"type": "integer" if whole else "number", "minimum": low, "maximum": high}
    return {**schema, "description": words} if words else schema


def choice(*words: str) -> Schema:
    """Return the schema of one of some words."""
    return {"type": "string", "enum": list(words)}


def duration(low: float | None = None, high: float | None = None, words: str = "") -> Schema:
    """Return the schema of a duration: a number of seconds within limits, or ISO 8601 text."""
    bounds = {name: value for name, value in (("minimum", low), ("maximum", high)) if value is not None}
    return {
        "anyOf": [{"type": "number", **bounds}, {"type": "string", "maxLength": 64}],
        "description": f"{words} Seconds, or ISO 8601 such as PT1M30S.".strip(),
        "examples": [60, "PT1M30S"],
    }


def maybe(schema: Schema) -> Schema:
    """Return the schema that also accepts null."""
    return {"anyOf": [schema, {"type": "null"}]}


def keywords(properties: dict[str, Schema], required: list[str]) -> Schema:
    """Return the schema of an object with these properties and no others."""
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def refuse_unknown(body: Collection[str], known: Collection[str]) -> None:
    """Raise InvalidRequest that names every unknown keyword."""
    mistakes = ErrorCollector()
    mistakes.refuse_unknown(body, known, where="here")
    mistakes.raise_if_any()


DURATION: Final = duration()
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
