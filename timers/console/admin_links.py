"""Whether console pages can link to the admin."""

from __future__ import annotations

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse


def shows_admin(request: HttpRequest) -> bool:
    """Whether the caller may use the admin and the project has an admin that shows timers."""
    if not getattr(request.user, "is_staff", False):
        return False
    try:
        reverse("admin:timers_timer_changelist")
    except NoReverseMatch:
        return False
    return True
