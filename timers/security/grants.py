"""Who may issue keys for whom: nobody gets more permissions by a key than they have."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model

from timers.exceptions import InvalidRequest


def check_giver(giver: Any, holder: Any) -> None:
    """Raise InvalidRequest unless the giver may create, change or rotate keys that act for the holder.

    Whoever creates or rotates a key sees its text, and so can act as its user. Only the user themselves and superusers
    may do that. Everyone who may change keys can revoke one.

    Args:
        giver: id of the user who requests it.
        holder: id of the user that the key acts for.
    """
    if giver != holder and not get_user_model().objects.filter(pk=giver, is_active=True, is_superuser=True).exists():
        raise InvalidRequest(
            "user", "must be yourself: only a superuser makes, changes or rotates keys that act for others"
        )
