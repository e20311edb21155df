"""Check for application keys in use that expire soon."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from timers.insights.counts import CAP
from timers.insights.doctor.finding import Finding, amount, rows, shown
from timers.insights.keys import SOON

_ENDING: Final = f"""
SELECT name AS key, expires_at, last_used_at FROM timers_application_key
WHERE revoked_at IS NULL AND expires_at > %(now)s AND expires_at <= %(now)s::timestamptz + %(soon)s
  AND last_used_at > %(now)s::timestamptz - %(soon)s
ORDER BY expires_at LIMIT {CAP + 1}
"""


def ending_keys(now: datetime) -> list[Finding]:
    """Report keys that were used in the last days and expire in the next days: their programs will be refused."""
    found = rows(_ENDING, {"now": now, "soon": SOON})
    if not found:
        return []
    return [
        Finding(
            "warning",
            f"{amount(found, CAP, 'application key')} in use end within {SOON.days} days."
            if len(found) > 1
            else f"1 application key in use ends within {SOON.days} days.",
            "Give them a later end in the admin, under application keys, or their programs other keys.",
            shown(found),
        )
    ]
