"""State of application keys: which are valid, and for how long."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q

from timers.models import ApplicationKey

SOON: Final = timedelta(days=7)
"""A key that expires within this time is shown separately: its holder needs a new one."""
KEY_STATES: Final = ("valid", "expiring", "expired", "revoked")


def key_state(key: ApplicationKey, now: datetime) -> str:
    """Return what happens when the key is used: one of KEY_STATES. Its user may be inactive in addition."""
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is None:
        return "valid"
    if key.expires_at <= now:
        return "expired"
    return "expiring" if key.expires_at <= now + SOON else "valid"


def keys_in_state(state: str, now: datetime) -> Q:
    """Return the condition that selects the keys for which key_state returns this state."""
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
