"""What is answered without a database that can be used (unreachable, not migrated): 503, and when to come back.

Sessions are in the database, so that it is away shows in the middleware already, before any view of ours. Each layer of
middleware turns what was raised below it into an answer by itself, and asks this view for it.
"""

from __future__ import annotations

import sys
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views import defaults

from timers.api.addresses import api_prefix
from timers.api.refusals import DATABASE_AWAY, READING, problem_from_exception
from timers.security.request_id import current_request_id
from timers.server.unmigrated import is_caused_by_missing_migrations

PAGE_RETRY_AFTER: Final = 5
"""Seconds after which a page asks for itself again."""


def server_error(request: HttpRequest) -> HttpResponse:
    """The answer to a request that raised, for what was raised: 503 without a database that can be used, else 500."""
    error = sys.exc_info()[1]
    is_unmigrated = is_caused_by_missing_migrations(error)
    if error is None or not (is_unmigrated or isinstance(error, DATABASE_AWAY)):
        return defaults.server_error(request)
    problem = problem_from_exception(error, request.method)
    if request.path_info.startswith(api_prefix()):
        return problem.response(current_request_id.get())
    if is_unmigrated:
        page, media_type = f"{problem.detail}\n", "text/plain; charset=utf-8"
    elif request.headers.get("HX-Request") == "true":
        # A fragment: the page that asks stays as it is, and says itself that it has no news.
        page, media_type = problem.detail, "text/plain; charset=utf-8"
    else:
        # Without the request: what it would add to the page (who has signed in) is in the database.
        may_repeat = request.method in READING
        page = render_to_string("unavailable.html", {"may_repeat": may_repeat, "seconds": PAGE_RETRY_AFTER})
        media_type = "text/html; charset=utf-8"
    headers = {"Retry-After": str(PAGE_RETRY_AFTER), "Cache-Control": "no-store"}
    return HttpResponse(page, status=problem.status, content_type=media_type, headers=headers)
