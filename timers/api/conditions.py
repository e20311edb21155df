"""Conditional writes: ETag tells a version; If-Match asks that it still be that one, If-None-Match for none at all."""

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
    """The header that tells a version."""
    return {"ETag": f'"{version}"'}


def wanted_version(request: HttpRequest) -> int | None:
    """The version that If-Match asks for; None when it asks for none, or for any."""
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


def refuse_unheeded(request: HttpRequest, heeded: Collection[str]) -> None:
    """Refuse a condition that this route does not look at: who sends it relies on it."""
    for name in ("If-Match", "If-None-Match"):
        if name in request.headers and name not in heeded:
            raise Problem.of_fields("invalid", [FieldProblem(name, "is not heeded here; leave it out")])


def must_be_there(request: HttpRequest) -> bool:
    """Whether a PUT may only replace."""
    return "If-Match" in request.headers


def must_be_new(request: HttpRequest) -> bool:
    """Whether a PUT may only create."""
    given = request.headers.get("If-None-Match")
    if given not in {None, "*"}:
        raise Problem.of_fields("invalid", [FieldProblem("If-None-Match", "must be *, or be left out")])
    return given is not None


def check_put(request: HttpRequest, present: int | None) -> None:
    """Raises StaleVersion or TimerExists where a PUT is not to be carried out.

    `present`: the version of what it would replace, None where it would create.
    """
    wanted, is_new = wanted_version(request), must_be_new(request)
    if present is None:
        if must_be_there(request):
            raise StaleVersion("there is nothing of this name to replace")
        return
    check_version(present, wanted)
    if is_new:
        raise TimerExists("name", "is taken, and If-None-Match says to replace nothing")
