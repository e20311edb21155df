"""Conditional requests: ETag is the version; If-Match requires that version, If-None-Match that nothing exists."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Final

from django.http import HttpRequest

from timers.api.problems import Problem
from timers.exceptions import FieldProblem, StaleVersion, TimerExists

IF_MATCH: Final[dict[str, Any]] = {
    "in": "header",
    "name": "If-Match",
    "required": False,
    "schema": {"type": "string", "pattern": r'^(\*|"[0-9]{1,9}")$'},
    "description": "The ETag that was read; 409 stale_version if somebody changed the thing since. `*`: any version.",
}
IF_NONE_MATCH: Final[dict[str, Any]] = {
    "in": "header",
    "name": "If-None-Match",
    "required": False,
    "schema": {"enum": ["*"]},
    "description": "`*`: create, and replace nothing; 409 name_taken if the thing is there.",
}
ON_PUT: Final = [IF_MATCH, IF_NONE_MATCH]
_FORM: Final = re.compile(r'"([0-9]{1,9})"', re.ASCII)


def etag(version: int) -> dict[str, str]:
    """Return the header that holds a version."""
    return {"ETag": f'"{version}"'}


def wanted_version(request: HttpRequest) -> int | None:
    """Return the version that If-Match requires; None if it is missing or accepts any version."""
    given = request.headers.get("If-Match")
    if given is None or given == "*":
        return None
    match = _FORM.fullmatch(given)
    if match is None:
        raise Problem.of_fields("invalid", [FieldProblem("If-Match", 'must be an ETag as it was given, such as "3"')])
    return int(match[1])


def check_version(present: int, wanted: int | None) -> None:
    """Raise StaleVersion if a version is required and it is not the present one."""
    if wanted is not None and present != wanted:
        raise StaleVersion(f"it is at version {present}, not {wanted}; read it again")


def refuse_unheeded(request: HttpRequest, heeded: Collection[str]) -> None:
    """Refuse a condition that this route does not evaluate, because the caller would rely on it."""
    for name in ("If-Match", "If-None-Match"):
        if name in request.headers and name not in heeded:
            raise Problem.of_fields("invalid", [FieldProblem(name, "is not heeded here; leave it out")])


def must_be_there(request: HttpRequest) -> bool:
    """Return whether a PUT may only replace."""
    return "If-Match" in request.headers


def must_be_new(request: HttpRequest) -> bool:
    """Return whether a PUT may only create."""
    given = request.headers.get("If-None-Match")
    if given not in {None, "*"}:
        raise Problem.of_fields("invalid", [FieldProblem("If-None-Match", "must be *, or be left out")])
    return given is not None


def check_put(request: HttpRequest, present: int | None) -> None:
    """Raise StaleVersion or TimerExists if the conditions of a PUT do not hold.

    `present`: the version that the PUT would replace; None if it would create.
    """
    wanted, is_new = wanted_version(request), must_be_new(request)
    if present is None:
        if must_be_there(request):
            raise StaleVersion("there is nothing of this name to replace")
        return
    check_version(present, wanted)
    if is_new:
        raise TimerExists("name", "is taken, and If-None-Match says to replace nothing")
