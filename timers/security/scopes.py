"""Scopes and what a user must be allowed to have them: the same permissions that the admin asks for."""

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
"""All of them are needed. A superuser has every one."""


def expanded(scopes: Iterable[str]) -> frozenset[str]:
    """The scopes with those that they include: admin includes all others."""
    given = frozenset(scopes)
    return frozenset(SCOPES) if ADMIN in given else given


def scopes_of(user: Any) -> frozenset[str]:
    """The scopes that a user may have by Django's permissions; none, when the user is not active."""
    return frozenset(scope for scope in SCOPES if user.has_perms(PERMISSIONS[scope]))


def not_allowed(user: Any, scopes: Collection[str]) -> dict[str, list[str]]:
    """The scopes among these that the user may not have, each with the permissions that are missing."""
    missing = {
        scope: [name for name in PERMISSIONS[scope] if not user.has_perm(name)]
        for scope in SCOPES
        if scope in expanded(scopes)
    }
    return {scope: names for scope, names in missing.items() if names}
