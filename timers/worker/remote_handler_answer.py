"""Read the response of the handler endpoint: the handler's result, or why it did not succeed."""

from __future__ import annotations

import json
from typing import Any, Final

from timers.domain.payload import storable

TITLE_LENGTH: Final = 300


def result_of(body: bytes) -> Any:
    """Return the handler's result; None if the response is not a JSON object with a result, or is too long."""
    return _object(body).get("result")


def title_of(body: bytes) -> str:
    """Return the error message of a failed response; empty if it has none."""
    detail = _object(body).get("detail")
    return storable(detail[:TITLE_LENGTH]) if isinstance(detail, str) else ""


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
