"""What the ledger says of a timer, in short."""

from __future__ import annotations

from timers.models import Attempt, Timer


def rows_of(timer: Timer | int) -> list[Attempt]:
    """All rows of a timer: by instant, then by try, the final row last."""
    rows = Attempt.objects.filter(timer_id=timer if isinstance(timer, int) else timer.id)
    return sorted(rows, key=lambda row: (row.scheduled_for, row.attempt, row.outcome in Attempt.FINAL))


def words_of(timer: Timer | int) -> list[str]:
    """The outcomes of a timer, in that order."""
    return [row.outcome for row in rows_of(timer)]


def finals_of(timer: Timer | int) -> list[Attempt]:
    """The final rows of a timer, by instant."""
    return [row for row in rows_of(timer) if row.outcome in Attempt.FINAL]
