"""What of a decision is carried out while nobody takes the executions of a timer. Pure."""

from __future__ import annotations

from timers.engine.decide import Decision, Due
from timers.schedules.instant import from_microseconds, to_microseconds


def without_fires(decision: Decision, due: Due) -> Decision | None:
    """Reduce a decision to the skips that stand before its first fire; None when there are none.

    A decision that fires nothing is carried out whole. In one that fires, the instant that would run, and those that it
    stands for, stay as they are until somebody takes it: the policies decide about them then.
    """
    if not decision.fires:
        return decision
    first = decision.fires[0]
    past = [skip for skip in decision.skipped if skip.instant_us < first.instant_us]
    if first.missed_count:
        # Its missed instants lie among the skipped ones; before all of them are only those that have expired.
        expired = [skip.instant_us for skip in past if skip.reason == "expired"]
        past = [skip for skip in past if expired and skip.instant_us <= max(expired)]
    if not past:
        return None
    following = due.schedule.next_after(from_microseconds(max(skip.instant_us for skip in past)))
    assert following is not None  # the first fire is one
    return Decision(skipped=past, next_us=to_microseconds(following))
