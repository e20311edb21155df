"""Rule for names of groups, timers, tags, roles, chains and steps."""

from __future__ import annotations

from typing import Any, Final

from timers.exceptions import InvalidRequest

NAME_LENGTH: Final = 200


def check_name(field: str, value: Any) -> str:
    """Validate a name that a URL can contain: as check_word, but not only dots. Raises InvalidRequest for the field."""
    name = check_word(field, value)
    # Clients and proxies remove such segments from a path, so the request would act on the parent: the group.
    if {".", ".."} & set(name.split("/")):
        raise InvalidRequest(
            field, 'must not be "." or "..", nor have such a part next to a slash: no address can hold it', given=value
        )
    return name


def check_word(field: str, value: Any) -> str:
    """Validate text of 1 to 200 characters without control characters. Raises InvalidRequest for the field."""
    if not isinstance(value, str):
        raise InvalidRequest(field, f"must be text of 1 to {NAME_LENGTH} characters", given=value)
    if not 1 <= len(value) <= NAME_LENGTH:
        raise InvalidRequest(field, f"must have 1 to {NAME_LENGTH} characters; this has {len(value):,}", given=value)
    if not value.isprintable() or value != value.strip():
        raise InvalidRequest(field, "must not hold control characters or begin or end with a space", given=value)
    return value


def check_names(field: str, value: Any) -> list[str]:
    """Validate a list of such words. Raises InvalidRequest for the field."""
    if not isinstance(value, (list, tuple)):
        raise InvalidRequest(field, "must be a list of names", given=value)
    return [check_word(field, word) for word in value]
