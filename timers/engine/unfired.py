"""The part of a decision that applies while nobody takes the executions of a timer. Pure."""

from __future__ import annotations

from timers.engine.decide import Decision, Due
from timers.schedules.instant import from_microseconds, to_microseconds


def without_fires(decision: Decision, due: Due) -> Decision | None:
    """Reduce a decision to the skips before its first fire; return None when there are none.

    A decision that fires nothing applies as a whole. In one that fires, the instant that would run, and those that it
    represents, stay unchanged until someone takes it: the policies decide about them then.
    """
    if not decision.fires:
        return decision
    first = decision.fires[0]
    past = [skip for skip in decision.skipped if skip.instant_us < first.instant_us]
    if first.missed_count:
        # Its missed instants lie among the skipped ones; only the expired ones are before all of them.
        expired = [skip.instant_us for skip in past if skip.reason == "expired"]
        past = [skip for skip in past if expired and skip.instant_us <= max(expired)]
    if not past:
        return None
    following = due.schedule.next_after(from_microseconds(max(skip.instant_us for skip in past)))
    assert following is not None  # the first fire is one
    return Decision(skipped=past, next_us=to_microseconds(following))
