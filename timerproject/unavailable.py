"""Responses while the database is unusable (unreachable, not migrated): 503 with Retry-After.

Sessions are in the database, so an unavailable database raises in the middleware already, before any view of the
service. Each layer of middleware turns an exception below it into a response by calling this view.
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
"""Seconds after which a page reloads itself."""


def server_error(request: HttpRequest) -> HttpResponse:
    """Return the response to a request that raised: 503 if the database is unusable, else 500."""
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
        # A fragment: the page that requested it stays as it is, and shows that it has no news.
        page, media_type = problem.detail, "text/plain; charset=utf-8"
    else:
        # Rendered without the request: its context (the signed-in user) is in the database.
        may_repeat = request.method in READING
        page = render_to_string("unavailable.html", {"may_repeat": may_repeat, "seconds": PAGE_RETRY_AFTER})
        media_type = "text/html; charset=utf-8"
    headers = {"Retry-After": str(PAGE_RETRY_AFTER), "Cache-Control": "no-store"}
    return HttpResponse(page, status=problem.status, content_type=media_type, headers=headers)
