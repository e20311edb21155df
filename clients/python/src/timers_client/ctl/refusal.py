"""Error messages of the service for the command line: fields that have an option are named by that option."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from timers_client.errors import ApiError, RateLimited

_PLACES: Final = ("query.", "filter.")
"""Prefixes under which the service reports values of some options."""


def refusal(error: ApiError, options: Mapping[str, str]) -> str:
    """Format a refusal. `options`: option of each field of the command that has one."""
    problems = [f"  {_field(each.field, options)}: {_message(each.message, options)}" for each in error.errors]
    request = [f"  the service's log tells more under the request id {error.request_id}"] if not problems else []
    said = error.title if problems else _message(str(error), options)
    return "\n".join([f"refused ({error.code or error.status}): {said}", *problems, *request])


def rate_limited(error: RateLimited, deadline: float) -> str:
    """Format a rate limit error: when the service accepts requests again, and why timerctl did not wait."""
    after = "" if error.retry_after is None else f"  the service asks to wait {error.retry_after:g} s (Retry-After)\n"
    said = f"refused ({error.code or error.status}): {error}"
    return f"{said}\n{after}  given up, as all of it may take {deadline:g} s; --deadline gives it longer"


def _field(field: str, options: Mapping[str, str]) -> str:
    """Return the name of a field: its option, or the option and a path within its value."""
    first, _, rest = field.partition(".")
    if first in options:
        return f"{options[first]} {rest}".rstrip()
    for place in _PLACES:
        if field.startswith(place) and (name := field.removeprefix(place)) in options:
            return options[name]
    return field


def _message(message: str, options: Mapping[str, str]) -> str:
    """Return a message in terms of options: on_conflict="replace" becomes --on-conflict replace."""
    names = "|".join(map(re.escape, options))
    return re.sub(rf'\b({names})=("?)(\w+)\2', lambda found: f"{options[found[1]]} {found[3]}", message)
