"""Limit keys: the tenant, customer or account whose executions are limited together. Pure.

A timer names its key itself, or the group defines where it is in the payload, as a path: `payload`, then member names
and list indexes, such as `payload.tenant` or `payload.items[0].customer-id`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

from timers.exceptions import InvalidRequest

MAX_KEY: Final = 100
MAX_PATH: Final = 200
MAX_STEPS: Final = 10
NO_KEY: Final = ""
"""Key of timers that name none: they share one limit if the group has a path; otherwise they are not limited."""
_ROOT: Final = "payload"
_STEP: Final = re.compile(r"\.([A-Za-z_][A-Za-z0-9_-]*)|\[(0|[1-9][0-9]{0,4})\]")
_SYNTAX: Final = "must be a path into the payload such as payload.tenant or payload.items[0].id"
_KEPT: Final = 60
"""Number of characters kept of a key that is too long; a digest replaces the rest."""


@dataclass(frozen=True, slots=True)
class KeyPath:
    """Location of the key in a payload."""

    steps: tuple[str | int, ...]

    @classmethod
    def parse(cls, text: Any, field: str) -> KeyPath:
        """Parse a path. Raises InvalidRequest."""
        if not isinstance(text, str) or not text.startswith(_ROOT):
            raise InvalidRequest(field, _SYNTAX, given=text)
        if len(text) > MAX_PATH:
            raise InvalidRequest(field, f"must have at most {MAX_PATH} characters", given=text)
        steps: list[str | int] = []
        place = len(_ROOT)
        while place < len(text):
            step = _STEP.match(text, place)
            if step is None:
                raise InvalidRequest(field, f"{_SYNTAX}; it cannot be read from character {place + 1} on", given=text)
            steps.append(step[1] if step[1] is not None else int(step[2]))
            place = step.end()
        if len(steps) > MAX_STEPS:
            raise InvalidRequest(field, f"must have at most {MAX_STEPS} steps", given=text)
        return cls(tuple(steps))

    def find(self, payload: Any) -> str:
        """Return the key in a payload: text, a number or a boolean, as in JSON; NO_KEY if there is none."""
        value = payload
        for step in self.steps:
            if isinstance(step, str):
                value = value.get(step) if isinstance(value, dict) else None
            else:
                value = value[step] if isinstance(value, list) and step < len(value) else None
        if isinstance(value, str):
            return shortened(value)
        return shortened(json.dumps(value)) if isinstance(value, (bool, int, float)) else NO_KEY


def shortened(key: str) -> str:
    """Return a key in its stored form: the end of a long key is replaced by a digest, so keys remain distinct."""
    return key if len(key) <= MAX_KEY else f"{key[:_KEPT]}#{blake2b(key.encode(), digest_size=16).hexdigest()}"


def check_key(field: str, value: Any) -> str:
    """Raise InvalidRequest if a timer cannot have this key."""
    if not isinstance(value, str) or not value or len(value) > MAX_KEY or not value.isprintable():
        raise InvalidRequest(field, f"must be 1 to {MAX_KEY} printable characters, or null for none", given=value)
    return value
