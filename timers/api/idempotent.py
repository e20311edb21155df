"""Idempotency-Key: a POST with a key can be repeated without being carried out twice."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any, Final, overload

from django.http import HttpRequest, HttpResponse

from timers.api.problems import Problem
from timers.api.slashes import path_names
from timers.engine.idempotency import Kept, KeyReused, answer_once
from timers.exceptions import FieldProblem
from timers.security.caller import Caller

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
_FORM: Final = re.compile(r"[\x21-\x7e]{1,200}")
_KEPT_HEADERS: Final = ("Content-Type", "Location", "ETag")

IDEMPOTENCY_KEY: Final[dict[str, Any]] = {
    "in": "header",
    "name": HEADER,
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"^[\x21-\x7e]{1,200}$"},
    "description": "Repeated within 24 hours, the same request is answered as it was the first time, and done once.",
}


@overload
def once(request: HttpRequest, caller: Caller, work: Callable[[], HttpResponse]) -> HttpResponse: ...
@overload
def once(request: HttpRequest, caller: Caller, work: Callable[[], HttpResponse | None]) -> HttpResponse | None: ...
def once(request: HttpRequest, caller: Caller, work: Callable[[], HttpResponse | None]) -> HttpResponse | None:
    """Do the work, or return the stored response if the request's key was used before.

    If the work returns None, there is no response yet: its changes are committed, and the key remains unused.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return work()
    if not _FORM.fullmatch(key):
        problem = FieldProblem(HEADER, "must be 1 to 200 printable ASCII characters without spaces")
        raise Problem.of_fields("invalid", [problem])

    def kept() -> Kept | None:
        response = work()
        if response is None:
            return None
        headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
        return Kept(response.status_code, response.content.decode(), headers)

    try:
        group = str(path_names(request).get("group", ""))
        answer = answer_once(caller.identity, key, _fingerprint(request), kept, group=group)
    except KeyReused as error:
        raise Problem("key_reused", str(error), [FieldProblem(HEADER, str(error))]) from None
    if answer is None:
        return None
    response = HttpResponse(answer.body, status=answer.status, headers=dict(answer.headers))
    if not answer.body:
        del response.headers["Content-Type"]
    if answer.replayed:
        response.headers[REPLAYED] = "true"
    return response


def refuse_key(request: HttpRequest, why: str) -> None:
    """Refuse a key on a route whose work would be repeated anyway."""
    if HEADER in request.headers:
        raise Problem.of_fields("invalid", [FieldProblem(HEADER, f"is not taken here: {why}; leave it out")])


def _fingerprint(request: HttpRequest) -> str:
    digest = hashlib.sha256(f"{request.method} {request.get_full_path()}\n".encode())
    digest.update(request.body)
    return digest.hexdigest()
