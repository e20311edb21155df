"""The service's refusals, in the words of the command line: what was given by an option is told by that option."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from timers_client.errors import ApiError, RateLimited

_PLACES: Final = ("query.", "filter.")
"""Where the service takes some of what options give."""


def refusal(error: ApiError, options: Mapping[str, str]) -> str:
    """What is said of a refusal; `options`: that of each field which the command takes by one."""
    problems = [f"  {_field(each.field, options)}: {_message(each.message, options)}" for each in error.errors]
    request = [f"  the service's log tells more under the request id {error.request_id}"] if not problems else []
    said = error.title if problems else _message(str(error), options)
    return "\n".join([f"refused ({error.code or error.status}): {said}", *problems, *request])


def rate_limited(error: RateLimited, deadline: float) -> str:
    """What is said where the service takes no more requests: when it will, and why it was not waited for."""
    after = "" if error.retry_after is None else f"  the service asks to wait {error.retry_after:g} s (Retry-After)\n"
    said = f"refused ({error.code or error.status}): {error}"
    return f"{said}\n{after}  given up, as all of it may take {deadline:g} s; --deadline gives it longer"


def _field(field: str, options: Mapping[str, str]) -> str:
    """A field: its option, or the option and what within its value is meant."""
    first, _, rest = field.partition(".")
    if first in options:
        return f"{options[first]} {rest}".rstrip()
    for place in _PLACES:
        if field.startswith(place) and (name := field.removeprefix(place)) in options:
            return options[name]
    return field


def _message(message: str, options: Mapping[str, str]) -> str:
    """A message; on_conflict="replace" becomes --on-conflict replace."""
    names = "|".join(map(re.escape, options))
    return re.sub(rf'\b({names})=("?)(\w+)\2', lambda found: f"{options[found[1]]} {found[3]}", message)
