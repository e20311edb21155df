"""Validation of the names of groups, timers, tags and roles, and of texts: one rule for all."""

from __future__ import annotations

from typing import Any, Final

from timers.domain.names import check_name, check_names, check_word
from timers.domain.payload import storable
from timers.exceptions import InvalidRequest

__all__ = ["MAX_TEXT", "by_whom", "check_name", "check_names", "check_text", "check_word"]

MAX_TEXT: Final = 10_000


def check_text(field: str, value: Any, limit: int = MAX_TEXT) -> str:
    """Return text of at most `limit` characters that PostgreSQL can store. Raise InvalidRequest naming the field."""
    if not isinstance(value, str) or len(value) > limit or storable(value) != value:
        raise InvalidRequest(field, f"must be text of at most {limit:,} characters without NUL", given=value)
    return value


def by_whom(actor: str, reason: str) -> str:
    """Return who requested something and why, for an event: by olga: new disk."""
    return ": ".join(each for each in (f"by {actor}" if actor else "", reason) if each)
