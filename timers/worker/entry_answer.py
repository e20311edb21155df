"""What the entry point answers, read back: the handler's result, or why it did not succeed."""

from __future__ import annotations

import json
from typing import Any, Final

from timers.domain.payload import storable

TITLE_LENGTH: Final = 300


def result_of(body: bytes) -> Any:
    """The handler's result; None where the answer is no JSON object that has one, or is longer than is kept."""
    return _object(body).get("result")


def title_of(body: bytes) -> str:
    """What a refusal says of itself; empty where it says nothing."""
    detail = _object(body).get("detail")
    return storable(detail[:TITLE_LENGTH]) if isinstance(detail, str) else ""


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
