"""What a due timer does now: fire, queue, skip, wait. Pure: no database, no clock of its own.

Two questions, one after the other. Which of the instants that have come are to run at all (choose: exclusion calendars,
max_lateness, misfire policy)? And may they run now (admit: overlap policy)?
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from timers.policies import Policies
from timers.schedules import Schedule
from timers.schedules.instant import from_microseconds, to_microseconds

MAX_MISSED = 2**31 - 1
"""The most that a missed_count can say."""
MAX_WALKED = 1000
"""Instants that are looked at one by one in a decision; what is beyond them is counted and gets one row."""


@dataclass(frozen=True, slots=True)
class Due:
    """A timer whose next instant has come, or comes within the look-ahead (microseconds UTC, nominal)."""

    schedule: Schedule
    next_us: int
    is_open: bool = False
    """Its execution before is not ended."""
    queued: int = 0
    """Fires that queue behind that one."""
    waits_for_end: bool = False
    """The next instant is known only at the end of the execution (fixed_delay, until_committed)."""
    follows_runs: bool = False
    """Its instants follow from its runs (fixed_delay): beside the one that is due there is none."""
    end_us: int | None = None
    fires_left: int | None = None
    unwanted: str = ""
    """Why nothing of it is to run: nobody wants it. Empty: it is wanted."""


class Chosen(NamedTuple):
    """An instant that shall run, and how many missed ones it stands for beside itself."""

    instant_us: int
    missed_count: int = 0


class Skipped(NamedTuple):
    """An instant that shall not run, why, and how many further ones its row stands for."""

    instant_us: int
    reason: str
    missed_count: int = 0


@dataclass(slots=True)
class Decision:
    """Fires and skips of one timer, and where it stands afterwards."""

    fires: list[Chosen] = field(default_factory=list)
    queued: list[Chosen] = field(default_factory=list)
    """To run one after the other, once what runs (or the fire before them) has ended."""
    skipped: list[Skipped] = field(default_factory=list)
    replaces: bool = False
    """The open execution, and what queues behind it, makes way for the one that is queued here."""
    next_us: int | None = None
    finished: bool = False


class _Come(NamedTuple):
    """What has come of a timer's instants."""

    chosen: list[Chosen]
    """Those that shall run, oldest first."""
    last_us: int
    """The latest that has been dealt with."""
    beyond: Skipped | None = None
    """Those that are too many to be made up for."""


def decide(due: Due, policies: Policies, now_us: int) -> Decision:
    """Decide by the policies what becomes of all instants that have come."""
    decision = Decision()
    come = _choose(due, policies, now_us, decision.skipped)
    if due.unwanted:
        decision.skipped += [Skipped(at, due.unwanted, missed) for at, missed in come.chosen]
        come = come._replace(chosen=[])
    _admit(come.chosen, due, policies, decision)
    exhausted = due.fires_left is not None and _taken(decision) >= due.fires_left
    if come.beyond is not None and not exhausted:
        decision.skipped.append(come.beyond)
    _move_on(decision, due, come.last_us, now_us, exhausted=exhausted)
    return decision


def _choose(due: Due, policies: Policies, now_us: int, skipped: list[Skipped]) -> _Come:
    """The misfire policy where the timer is late, and its instants one by one where it is not."""
    start_us = due.next_us
    if policies.max_lateness is not None:
        too_late_us = now_us - round(policies.max_lateness * 1_000_000) - 1
        if start_us <= too_late_us:
            expired, last_us = _summed_up(due, start_us, too_late_us, skipped)
            if expired is not None:
                skipped.append(Skipped(expired.instant_us, "expired", expired.missed_count))
            following = None if due.follows_runs else _following(due, last_us)
            if following is None or following > now_us:
                return _Come([], last_us)
            start_us = following
    if now_us - start_us > policies.misfire_grace * 1_000_000:
        return _make_up(due, policies, start_us, now_us, skipped)
    chosen: list[Chosen] = []
    last_us = start_us
    for count, instant_us in enumerate(_instants(due, start_us, now_us)):
        if count == MAX_WALKED:
            rest, last_us = _summed_up(due, instant_us, now_us, skipped)
            return _Come(chosen if rest is None else [*chosen, rest], last_us)
        last_us = instant_us
        if (reason := due.schedule.reason(from_microseconds(instant_us))) is not None:
            skipped.append(Skipped(instant_us, reason))
            continue
        chosen.append(Chosen(instant_us))
        if not due.is_open:
            # It opens an execution (or runs beside others): what follows is another decision.
            break
    return _Come(chosen, last_us)


def _make_up(due: Due, policies: Policies, start_us: int, now_us: int, skipped: list[Skipped]) -> _Come:
    """The misfire policy: what becomes of the instants from `start_us` on, which is later than the grace."""
    missed, last_us = _summed_up(due, start_us, now_us, skipped)
    if missed is None:
        return _Come([], last_us)
    if policies.misfire_policy == "skip":
        skipped.append(Skipped(missed.instant_us, "misfire", missed.missed_count))
        return _Come([], last_us)
    if policies.misfire_policy == "fire_once" or due.waits_for_end:
        return _Come([missed], last_us)
    chosen: list[Chosen] = []
    for instant_us in _instants(due, start_us, now_us):
        if due.schedule.reason(from_microseconds(instant_us)) is not None:
            continue
        if len(chosen) == policies.max_catchup:
            rest = _missed(due, instant_us, now_us)
            assert rest is not None  # this instant at least
            return _Come(chosen, last_us, Skipped(rest.instant_us, "beyond max_catchup", rest.missed_count))
        chosen.append(Chosen(instant_us))
    return _Come(chosen, last_us)


def _summed_up(due: Due, start_us: int, until_us: int, skipped: list[Skipped]) -> tuple[Chosen | None, int]:
    """The latest instant to run of a stretch, standing for all (None: there is none), and the latest of any.

    The excluded ones get their row here, one for all.
    """
    until_us, last_us = _bounded(due, until_us), start_us
    if until_us < start_us:
        return None, last_us
    excluded = due.schedule.excluded(from_microseconds(start_us), from_microseconds(until_us))
    if excluded is not None:
        last_us = to_microseconds(excluded.latest)
        reason = due.schedule.reason(excluded.latest) or "excluded"
        skipped.append(Skipped(last_us, reason, _beside(excluded.count)))
    missed = _missed(due, start_us, until_us)
    return missed, last_us if missed is None else max(last_us, missed.instant_us)


def _admit(chosen: list[Chosen], due: Due, policies: Policies, decision: Decision) -> None:
    """The overlap policy: what becomes of the chosen instants. Those after the last fire of max_fires are none."""
    left = len(chosen) if due.fires_left is None else due.fires_left
    if not chosen or left <= 0:
        return
    if policies.overlap_policy == "allow" and not due.waits_for_end:
        decision.fires = chosen[:left]
    elif not due.is_open:
        # Several are made up for (fire_all): they never ran into each other, so none is skipped for the others' sake.
        decision.fires, decision.queued = chosen[:1], chosen[1:left]
    elif policies.overlap_policy == "replace":
        decision.replaces, decision.queued = True, chosen[-1:]
        decision.skipped += [Skipped(at, "replaced", missed) for at, missed in chosen[:-1]]
    else:
        room = max(0, policies.max_queued - due.queued) if policies.overlap_policy == "queue" else 0
        decision.queued = chosen[: min(room, left)]
        if room < left:
            decision.skipped += [Skipped(at, "overlap", missed) for at, missed in chosen[room:]]


def _move_on(decision: Decision, due: Due, last_us: int, now_us: int, *, exhausted: bool) -> None:
    waits = due.waits_for_end and _taken(decision) > 0
    if exhausted:
        decision.finished = not waits
        return
    if waits:
        return
    # What counts from the end of a run that was skipped counts from now.
    decision.next_us = _following(due, max(last_us, now_us) if due.waits_for_end else last_us)
    if decision.next_us is not None and _is_over(due, decision.next_us):
        decision.next_us = None
    decision.finished = decision.next_us is None


def _instants(due: Due, start_us: int, until_us: int) -> Iterator[int]:
    """`start_us`, which may lie ahead, and the instants after it that have come."""
    instant_us: int | None = start_us
    while instant_us is not None and (instant_us <= until_us or instant_us == start_us):
        if _is_over(due, instant_us):
            return
        yield instant_us
        instant_us = _following(due, instant_us)


def _missed(due: Due, start_us: int, until_us: int) -> Chosen | None:
    """The latest instant to run of those from `start_us` to `until_us`, standing for all; None when there is none."""
    missed = due.schedule.missed(from_microseconds(start_us), from_microseconds(_bounded(due, until_us)))
    return None if missed is None else Chosen(to_microseconds(missed.latest), _beside(missed.count))


def _taken(decision: Decision) -> int:
    return len(decision.fires) + len(decision.queued)


def _beside(count: int) -> int:
    return min(count - 1, MAX_MISSED)


def _following(due: Due, after_us: int) -> int | None:
    following = due.schedule.next_after(from_microseconds(after_us))
    return None if following is None else to_microseconds(following)


def _bounded(due: Due, until_us: int) -> int:
    return until_us if due.end_us is None else min(until_us, due.end_us)


def _is_over(due: Due, instant_us: int) -> bool:
    return due.end_us is not None and instant_us > due.end_us
