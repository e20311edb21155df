"""Scopes, and the permissions that a user needs for them: the same that the admin requires."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Final

from timers.models import ApplicationKey

SCOPES: Final = tuple(ApplicationKey.Scope.values)
ADMIN: Final = ApplicationKey.Scope.ADMIN.value

PERMISSIONS: Final[dict[str, tuple[str, ...]]] = {
    "read": ("timers.view_timer",),
    "schedule": ("timers.add_timer", "timers.change_timer"),
    "consume": ("timers.change_claim",),
    "operate": ("timers.change_waiting",),
    "admin": (
        "timers.add_timergroup", "timers.change_timergroup", "timers.change_applicationkey",
        "timers.add_secret", "timers.change_secret", "timers.delete_secret",
    ),
}  # fmt: skip
"""The permissions that a user needs for each scope: all of them. A superuser has every one."""


def expanded(scopes: Iterable[str]) -> frozenset[str]:
    """Return the scopes and those that they include: admin includes all others."""
    given = frozenset(scopes)
    return frozenset(SCOPES) if ADMIN in given else given


def scopes_of(user: Any) -> frozenset[str]:
    """Return the scopes that a user has by Django's permissions; none if the user is not active."""
    return frozenset(scope for scope in SCOPES if user.has_perms(PERMISSIONS[scope]))


def not_allowed(user: Any, scopes: Collection[str]) -> dict[str, list[str]]:
    """Return the scopes among these that the user may not have, each with the missing permissions."""
    missing = {
        scope: [name for name in PERMISSIONS[scope] if not user.has_perm(name)]
        for scope in SCOPES
        if scope in expanded(scopes)
    }
    return {scope: names for scope, names in missing.items() if names}
