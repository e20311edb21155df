"""Application keys: which hold, and for how long."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q

from timers.models import ApplicationKey

SOON: Final = timedelta(days=7)
"""A key that ends within this time is told apart: its holder needs another one."""
KEY_STATES: Final = ("valid", "expiring", "expired", "revoked")


def key_state(key: ApplicationKey, now: datetime) -> str:
    """What becomes of the key when it is used: one of KEY_STATES; its user may still be inactive."""
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is None:
        return "valid"
    if key.expires_at <= now:
        return "expired"
    return "expiring" if key.expires_at <= now + SOON else "valid"


def keys_in_state(state: str, now: datetime) -> Q:
    """The condition for the keys that key_state would say this of."""
    living, soon = Q(revoked_at=None), now + SOON
    match state:
        case "revoked":
            return Q(revoked_at__isnull=False)
        case "expired":
            return living & Q(expires_at__lte=now)
        case "expiring":
            return living & Q(expires_at__gt=now, expires_at__lte=soon)
        case _:
            return living & (Q(expires_at=None) | Q(expires_at__gt=soon))
