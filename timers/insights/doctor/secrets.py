"""Check for secrets that this process cannot decrypt."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from timers.insights.counts import CAP
from timers.insights.doctor.finding import Finding, amount, rows, shown
from timers.security.encryption import Keyring

_SEALED: Final = f"""
SELECT name AS secret, key FROM timers_secret
WHERE NOT key = ANY(%(keys)s) OR (previous_key <> '' AND NOT previous_key = ANY(%(keys)s)) ORDER BY name LIMIT {CAP + 1}
"""


def unopenable_secrets(now: datetime) -> list[Finding]:
    """Report secrets whose encryption key is not in the settings: calls that need them fail."""
    found = rows(_SEALED, {"keys": Keyring.in_force().names})
    if not found:
        return []
    return [
        Finding(
            "error",
            f"{amount(found, CAP, 'secret')} encrypted with a key that is not among TIMERS_ENCRYPTION_KEYS here.",
            "Give the missing key again, after the first one, on all nodes and web processes; then run"
            " `manage.py rotatesecrets` before it is taken out.",
            shown(found),
        )
    ]
