"""Idempotency-Key: a POST with a key can be repeated without being carried out twice."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, overload

from django.http import HttpRequest, HttpResponse

from timers.api.problems import Problem
from timers.api.slashes import path_names
from timers.engine.idempotency import Kept, KeyReused, answer_once
from timers.engine.resumable import Plan, Progress, answer_in_parts
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
    key = _key_of(request)
    if key is None:
        return work()

    def kept() -> Kept | None:
        response = work()
        return None if response is None else _kept(response)

    group = str(path_names(request).get("group", ""))
    with _reused_as_problem():
        answer = answer_once(caller.identity, key, _fingerprint(request), kept, group=group)
    return None if answer is None else _response(answer)


def once_in_parts(
    request: HttpRequest,
    caller: Caller,
    whole: Callable[[], HttpResponse],
    begin: Callable[[], Plan],
    go_on: Callable[[Plan, Progress], Progress | HttpResponse],
) -> HttpResponse:
    """Carry out a request in several transactions; with a key, a repeat continues where the first one stopped.

    Args:
        request: The request.
        caller: The caller.
        whole: Carries out a request without a key.
        begin: Returns what the request is going to change, as JSON.
        go_on: Carries out the next part, and returns the progress, as JSON, or the response if nothing is left.
    """
    key = _key_of(request)
    if key is None:
        return whole()

    def kept(plan: Plan, progress: Progress) -> Progress | Kept:
        result = go_on(plan, progress)
        return _kept(result) if isinstance(result, HttpResponse) else result

    with _reused_as_problem():
        return _response(answer_in_parts(caller.identity, key, _fingerprint(request), begin, kept))


def _key_of(request: HttpRequest) -> str | None:
    key = request.headers.get(HEADER)
    if key is not None and not _FORM.fullmatch(key):
        problem = FieldProblem(HEADER, "must be 1 to 200 printable ASCII characters without spaces")
        raise Problem.of_fields("invalid", [problem])
    return key


@contextmanager
def _reused_as_problem() -> Iterator[None]:
    try:
        yield
    except KeyReused as error:
        raise Problem("key_reused", str(error), [FieldProblem(HEADER, str(error))]) from None


def _kept(response: HttpResponse) -> Kept:
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    return Kept(response.status_code, response.content.decode(), headers)


def _response(answer: Kept) -> HttpResponse:
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
