"""Health checks for load balancers and orchestrators: plain text, no key required."""

from __future__ import annotations

import logging
from typing import Final

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from timers.database import connection
from timers.models import Node
from timers.server.identity import ServerRefused
from timers.server.unmigrated import unapplied_migrations

logger = logging.getLogger(__name__)
_WORDS: Final = "text/plain; charset=utf-8"


@login_not_required
@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """Liveness: this process answers. Nothing else is checked, so faults elsewhere do not cause a restart."""
    return HttpResponse("ok\n", content_type=_WORDS)


@login_not_required
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Readiness: the database answers, its migrations are applied, and a node is alive.

    Otherwise 503 and the reason.
    """
    why = _why_not()
    if why:
        return HttpResponse(f"{why}\n", status=503, content_type=_WORDS, headers={"Retry-After": "2"})
    return HttpResponse("ok\n", content_type=_WORDS)


def _why_not() -> str:
    try:
        if _migrations_missing():
            return _logged("migrations are not applied")
        with connection.cursor() as cursor:
            cursor.execute("SELECT timers_now()")
            (now,) = cursor.fetchone()
        if not Node.objects.filter(state__in=Node.LIVE, lease_expires_at__gt=now).exists():
            return _logged("no node lives")
    except DatabaseError as error:
        refused = isinstance(error.__cause__, ServerRefused)
        return _logged(
            "the database server is refused" if refused else "the database is unavailable",
            f": {' '.join(str(error).split())}",
        )
    return ""


def _logged(why: str, detail: str = "") -> str:
    """Log the details, and return the reason that any caller may see."""
    logger.warning("not ready: %s%s", why, detail)
    return why


_applied = False


def _migrations_missing() -> bool:
    """Return whether migrations are missing. Checked until they are applied; then the result is cached."""
    global _applied  # noqa: PLW0603 - known once per process
    if not _applied:
        _applied = not unapplied_migrations()
    return not _applied
