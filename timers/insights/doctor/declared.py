"""Check for declared timers that belong to no program."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from timers.insights.counts import CAP
from timers.insights.doctor.finding import Finding, amount, rows, shown

_OWNERLESS: Final = f"""
SELECT g.name AS "group", t.name AS timer, t.source AS declared_in
FROM timers_timer t JOIN timers_timer_group g ON g.id = t.group_id
WHERE t.source <> '' AND t.owner = '' AND t.state = 'active'
ORDER BY t.id LIMIT {CAP + 1}
"""


def ownerless_declared_timers(now: datetime) -> list[Finding]:
    """Report active timers declared before programs had names, which no program has declared since."""
    found = rows(_OWNERLESS)
    if not found:
        return []
    return [
        Finding(
            "info",
            f"{amount(found, CAP, 'declared timer')} without an owner: no program pauses them when it declares them no"
            " longer.",
            "Start the programs that declare them, or run their synctimers; then pause or cancel those that are left.",
            shown(found),
        )
    ]
