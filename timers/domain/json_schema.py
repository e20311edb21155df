"""JSON Schemas of common values: building blocks of the descriptions of kinds, and of the API's bodies.

They describe; what a value may be is decided where it is parsed.
"""

from __future__ import annotations

from typing import Any, Final

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
INSTANT: Final[Schema] = {
    "type": "string",
    "description": "An instant with its offset from UTC, as ISO 8601 has it.",
    "examples": ["2027-02-26T15:00:27+01:00"],
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


DURATION: Final = duration()
