"""Names of groups, timers, tags, roles: one rule for all."""

from __future__ import annotations

from typing import Any

from timers.exceptions import SpecError
from timers.models.group import NAME_LENGTH


def check_name(field: str, value: Any) -> str:
    """A name of 1 to 200 characters without control characters; raises SpecError naming the field."""
    if not isinstance(value, str):
        raise SpecError(field, f"must be text of 1 to {NAME_LENGTH} characters", given=value)
    if not 1 <= len(value) <= NAME_LENGTH:
        raise SpecError(field, f"must have 1 to {NAME_LENGTH} characters; this has {len(value):,}", given=value)
    if not value.isprintable() or value != value.strip():
        raise SpecError(field, "must not hold control characters or begin or end with a space", given=value)
    return value
