"""What a due recurring timer does now: fire, skip, wait. Pure: no database, no clock of its own."""

from __future__ import annotations

from dataclasses import dataclass, field

from timers.policies import Policies
from timers.schedules import Schedule
from timers.schedules.instant import from_microseconds, to_microseconds

MAX_MISSED = 2**31 - 1
"""The most that a missed_count can say."""
MAX_SKIP_ROWS = 1000
"""Ledger rows of skipped occurrences per decision; what is beyond goes into one more row with its count."""


@dataclass(frozen=True, slots=True)
class Due:
    """A recurring timer whose next instant has come, or comes within the look-ahead (microseconds UTC)."""

    schedule: Schedule
    next_us: int
    is_open: bool
    """Its execution before is not ended."""
    waits_for_end: bool
    """The next instant is known only at the end of the execution (fixed_delay, until_committed)."""
    end_us: int | None
    fires_left: int | None


@dataclass(slots=True)
class Decision:
    """Fires and skips of one timer, and where it stands afterwards."""

    fire_us: int | None = None
    missed_count: int = 0
    skipped: list[tuple[int, str, int]] = field(default_factory=list)
    """(instant, reason, count of further instants that the row stands for)."""
    next_us: int | None = None
    finished: bool = False


def decide(due: Due, policies: Policies, now_us: int) -> Decision:
    """Decide by the misfire and overlap policies; a timer fires at most once per decision.

    A late fire within `misfire_grace` is simply late. Beyond it, `fire_once` runs one execution for the latest missed
    instant and its missed_count tells of the others.
    """
    if due.is_open and policies.overlap_policy == "skip":
        return _skip_overlapped(due, now_us)
    decision = Decision(fire_us=due.next_us)
    if now_us - due.next_us > policies.misfire_grace * 1_000_000:
        until_us = now_us if due.end_us is None else min(now_us, due.end_us)
        missed = due.schedule.missed(from_microseconds(due.next_us), from_microseconds(until_us))
        decision.fire_us = to_microseconds(missed.latest)
        decision.missed_count = min(missed.count - 1, MAX_MISSED)
    if due.fires_left is not None and due.fires_left <= 1:
        decision.finished = not due.waits_for_end
        return decision
    if not due.waits_for_end:
        assert decision.fire_us is not None
        _move_on(decision, due, decision.fire_us)
    return decision


def _skip_overlapped(due: Due, now_us: int) -> Decision:
    decision = Decision()
    instant_us: int | None = due.next_us
    while instant_us is not None and instant_us <= now_us and not _is_over(due, instant_us):
        if len(decision.skipped) == MAX_SKIP_ROWS:
            rest = due.schedule.missed(from_microseconds(instant_us), from_microseconds(now_us))
            instant_us = to_microseconds(rest.latest)
            decision.skipped.append((instant_us, "overlap", min(rest.count - 1, MAX_MISSED)))
        else:
            decision.skipped.append((instant_us, "overlap", 0))
        instant_us = _following(due, instant_us)
    decision.next_us = None if instant_us is None or _is_over(due, instant_us) else instant_us
    decision.finished = decision.next_us is None
    return decision


def _move_on(decision: Decision, due: Due, after_us: int) -> None:
    following = _following(due, after_us)
    decision.next_us = None if following is None or _is_over(due, following) else following
    decision.finished = decision.next_us is None


def _following(due: Due, after_us: int) -> int | None:
    following = due.schedule.next_after(from_microseconds(after_us))
    return None if following is None else to_microseconds(following)


def _is_over(due: Due, instant_us: int) -> bool:
    return due.end_us is not None and instant_us > due.end_us
