"""Conditional writes: ETag tells a version, If-Match asks that it still be that one."""

from __future__ import annotations

import re
from typing import Any, Final

from django.http import HttpRequest

from timers.api.problems import Problem
from timers.exceptions import FieldProblem, StaleVersion

IF_MATCH: Final[dict[str, Any]] = {
    "in": "header",
    "name": "If-Match",
    "required": False,
    "schema": {"type": "string", "pattern": r'^"[0-9]{1,9}"$'},
    "description": "The ETag that was read; 409 stale_version if somebody changed the thing since.",
}
_FORM: Final = re.compile(r'"([0-9]{1,9})"', re.ASCII)


def etag(version: int) -> dict[str, str]:
    """The header that tells a version."""
    return {"ETag": f'"{version}"'}


def wanted_version(request: HttpRequest) -> int | None:
    """The version that If-Match asks for; None when it asks for none."""
    given = request.headers.get("If-Match")
    if given is None or given == "*":
        return None
    match = _FORM.fullmatch(given)
    if match is None:
        raise Problem.of_fields("invalid", [FieldProblem("If-Match", 'must be an ETag as it was given, such as "3"')])
    return int(match[1])


def check_version(present: int, wanted: int | None) -> None:
    """Raises StaleVersion when another version was wanted than there is."""
    if wanted is not None and present != wanted:
        raise StaleVersion(f"it is at version {present}, not {wanted}; read it again")
