"""Who may give keys to whom: nobody gets more by a key than they have."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model

from timers.exceptions import InvalidRequest


def check_giver(giver: Any, holder: Any) -> None:
    """Refuse with InvalidRequest, unless the giver may make, change or rotate keys that act for the holder (users'
    ids).

    Whoever makes or rotates a key sees its text, and so can act as its user: that is for the user themselves, and for
    superusers. To revoke one is for all who may change keys.
    """
    if giver != holder and not get_user_model().objects.filter(pk=giver, is_active=True, is_superuser=True).exists():
        raise InvalidRequest(
            "user", "must be yourself: only a superuser makes, changes or rotates keys that act for others"
        )
