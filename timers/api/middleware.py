"""Middleware for every API request: request id, size limits, refusal of plain HTTP, problems as JSON."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Final
from uuid import uuid4

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import NoReverseMatch

from timers.api.addresses import api_prefix, app_prefix
from timers.api.problems import MEDIA_TYPE, Code, Problem, not_found
from timers.api.refusals import problem_from_exception
from timers.api.slashes import keep_slashes
from timers.api.strict_body import take_body
from timers.security.request_id import current_request_id

logger = logging.getLogger(__name__)

REQUEST_ID: Final = "X-Request-Id"
_GIVEN_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")

# Responses that Django or the server's middleware creates itself, as text or as a page.
_IN_OUR_WORDS: Final[dict[int, tuple[Code, str]]] = {
    400: ("malformed", "The request is malformed."),
    403: ("forbidden", "This is not allowed."),
    405: ("method_not_allowed", "This address does not know this method; see the Allow header."),
    413: ("too_large", "The request is too large."),
    500: ("failed", "Something went wrong here; the log tells what, under this request id."),
}

NUL: Final = "holds a NUL (%00), which no name and no text here may hold."


class ApiMiddleware:
    """Middleware of the API; it must be the outermost. Requests of the project's own pages pass unchanged.

    For other pages of the app it only refuses URLs that cannot be valid.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        # Discard what an earlier request of this thread left behind.
        current_request_id.set("")
        try:
            is_own = request.path_info.startswith(app_prefix())
        except NoReverseMatch:  # these URLs are not in this URLconf
            is_own = False
        if not is_own:
            return self.get_response(request)
        is_api = request.path_info.startswith(api_prefix())
        answer = self._answer if is_api else self._leave_alone
        if request.method != "HEAD":
            return answer(request)
        # The response of a GET without its body (RFC 9110, 9.3.2).
        request.method = "GET" if is_api else "HEAD"
        response = answer(request)
        if isinstance(response, HttpResponse):
            response.headers["Content-Length"] = str(len(response.content))
            response.content = b""
        return response

    def _leave_alone(self, request: HttpRequest) -> HttpResponseBase:
        try:
            _check_head(request)
            if "%00" in request.META.get("QUERY_STRING", ""):
                raise Problem("malformed", f"The query {NUL}")
        except Problem as problem:
            return HttpResponse(f"{problem.detail}\n", status=problem.status, content_type="text/plain; charset=utf-8")
        return self.get_response(request)

    def _answer(self, request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get(REQUEST_ID, "")
        request_id = given if _GIVEN_ID.fullmatch(given) else uuid4().hex
        current_request_id.set(request_id)
        try:
            _check_head(request)
            # A key sent over plain HTTP is exposed to everybody on the way: report that instead of redirecting to
            # HTTPS.
            if settings.SECURE_SSL_REDIRECT and not request.is_secure():
                raise Problem("forbidden", "Use https: what is sent over plain http can be read on the way.")
            take_body(request)
            keep_slashes(request)
            response = self._as_problem(self.get_response(request), request_id)
        except Problem as problem:
            response = problem.response(request_id)
        response.headers[REQUEST_ID] = request_id
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    def _as_problem(self, response: HttpResponseBase, request_id: str) -> HttpResponseBase:
        media_type = response.headers.get("Content-Type", "")
        if response.status_code < 400 or media_type == MEDIA_TYPE:
            return response
        code, words = _IN_OUR_WORDS.get(response.status_code, ("not_found", not_found("address here").detail))
        said = Problem(code, words).response(request_id)
        if "Allow" in response.headers:
            said.headers["Allow"] = response.headers["Allow"]
        return said


def _check_head(request: HttpRequest) -> None:
    """Raise Problem for a host that is not served, and for values that no lookup can use."""
    try:
        request.get_host()
    except DisallowedHost as error:
        logger.warning("a request for a host that is not served: %.200r", request.META.get("HTTP_HOST", ""))
        raise problem_from_exception(error) from None
    if "\x00" in request.path_info:
        raise Problem("malformed", f"The path {NUL}")
    # Quoted as cookies write it; a session is looked up by its cookie.
    if "\\000" in request.META.get("HTTP_COOKIE", ""):
        raise Problem("malformed", "A cookie holds a NUL (\\000).")
