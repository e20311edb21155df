"""What a due timer does now: fire, queue, skip, wait. Pure: no database, no clock of its own.

Two questions, one after the other. Which of the instants that have come are to run at all (choose: exclusion calendars,
max_lateness, misfire policy)? And may they run now (admit: overlap policy)?
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from timers.domain.policies import Policies
from timers.schedules import Schedule
from timers.schedules.instant import from_microseconds, to_microseconds

MAX_MISSED = 2**31 - 1
"""The most that a missed_count can say."""
MAX_WALKED = 1000
"""Instants that are looked at one by one in a decision; what is beyond them is counted and gets one row."""
BRIEF_US = 1_500_000
"""A fire that is late by no more than this is no sign of an outage: a worker was busy for a moment.

Several instants that are due at once and within it each run, one after the other; beyond it they are missed.
"""


@dataclass(frozen=True, slots=True)
class Due:
    """A timer whose next instant has come, or comes within the look-ahead (microseconds UTC, nominal)."""

    schedule: Schedule
    next_us: int
    is_open: bool = False
    """Its execution before is not ended."""
    queued: int = 0
    """Fires that queue behind that one because they came while it was open."""
    made_up: int = 0
    """Fires that queue behind that one because their instants were missed."""
    always_waits: bool = False
    """Behind an open execution its fire waits, also where the policy would skip it.

    A one-shot has no other fire, and a backfill must not displace the schedule.
    """
    free_since_us: int | None = None
    """When its latest execution ended: what came due before found that one open."""
    watched_since_us: int | None = None
    """Since when the deciding node looks for due work without a break; None: all the time."""
    resumed_us: int | None = None
    """When it or its group was last paused or resumed."""
    waits_for_end: bool = False
    """The next instant is known only at the end of the execution (fixed_delay, until_committed)."""
    follows_runs: bool = False
    """Its instants follow from its runs (fixed_delay): beside the one that is due there is none."""
    end_us: int | None = None
    fires_left: int | None = None
    unwanted: str = ""
    """Why nothing of it is to run: nobody wants it. Empty: it is wanted."""

    @property
    def could_fire_since_us(self) -> int | None:
        """Since when it could be fired at any moment, as far as the deciding node knows; None: all the time."""
        known = [each for each in (self.watched_since_us, self.resumed_us) if each is not None]
        return max(known, default=None)

    def is_missed(self, instant_us: int, now_us: int) -> bool:
        """Whether no node could fire an instant that has come, so that the misfire policy is for it.

        A node that begins to look does not know whether another one looked before. So its beginning alone makes nothing
        missed that came due just before: the other one was busy for a moment.
        """
        is_brief = now_us - instant_us <= BRIEF_US
        since_us = self.resumed_us if is_brief else self.could_fire_since_us
        return since_us is not None and instant_us < since_us


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
    made_up: int = 0
    """How many of the queued ones, from the first, are made up for: no later fire replaces them."""
    skipped: list[Skipped] = field(default_factory=list)
    replaces: bool = False
    """The open execution, and what queues behind it, makes way for the one that is queued here."""
    replaces_queued: bool = False
    """Only what queues makes way, except for what is made up for."""
    next_us: int | None = None
    finished: bool = False


_UNKNOWN = -1


class _Come(NamedTuple):
    """What has come of a timer's instants."""

    chosen: list[Chosen]
    """Those that shall run, oldest first."""
    last_us: int
    """The latest that has been dealt with."""
    beyond: tuple[Skipped, ...] = ()
    """Those that are too many to be made up for."""
    made_up: list[Chosen] = []
    """Those that run whatever is open now, before the chosen ones: when they came due, nobody could fire them."""
    following_us: int | None = _UNKNOWN
    """The instant after the latest, where it is known already; None: there is none."""


def decide(due: Due, policies: Policies, now_us: int) -> Decision:
    """Decide by the policies what becomes of all instants that have come."""
    decision = Decision()
    come = _choose(due, policies, now_us, decision.skipped)
    if due.unwanted:
        decision.skipped += [Skipped(at, due.unwanted, missed) for at, missed in [*come.made_up, *come.chosen]]
        come = come._replace(made_up=[], chosen=[])
    _admit(come, due, policies, decision)
    exhausted = due.fires_left is not None and _taken(decision) >= due.fires_left
    if not exhausted:
        decision.skipped += come.beyond
    _move_on(decision, due, come, now_us, exhausted=exhausted)
    return decision


def _choose(due: Due, policies: Policies, now_us: int, skipped: list[Skipped]) -> _Come:
    """Leave out what is too late for any policy; the rest depends on whether an execution is open."""
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
    if due.is_open and policies.overlap_policy != "allow":
        return _choose_behind_open(due, policies, start_us, now_us, skipped)
    return _choose_when_free(due, policies, start_us, now_us, skipped)


def _choose_behind_open(due: Due, policies: Policies, start_us: int, now_us: int, skipped: list[Skipped]) -> _Come:
    """An execution is open: what nobody could fire is made up for behind it, the rest overlaps."""
    missed: _Come | None = None
    since_us = due.could_fire_since_us
    if since_us is not None and start_us < since_us and start_us <= now_us:
        missed = _make_up(due, policies, start_us, min(since_us - 1, now_us), now_us, skipped)
        following = _following(due, missed.last_us)
        if following is None or following > now_us:
            return missed._replace(chosen=[], made_up=missed.chosen)
        start_us = following
    if now_us - start_us > policies.misfire_grace * 1_000_000:
        rest = _make_up(due, policies, start_us, now_us, now_us, skipped)
    else:
        rest = _one_by_one(due, start_us, now_us, skipped)
    return rest if missed is None else rest._replace(made_up=missed.chosen, beyond=missed.beyond + rest.beyond)


def _choose_when_free(due: Due, policies: Policies, start_us: int, now_us: int, skipped: list[Skipped]) -> _Come:
    """No execution is open: several instants that nobody could fire are missed, whatever the grace."""
    overlapped: list[Chosen] = []
    has_come = start_us <= now_us
    is_missed = has_come and due.is_missed(start_us, now_us)
    if has_come and not is_missed and _came_while_open(due, policies, start_us):
        assert due.free_since_us is not None
        until_us = min(due.free_since_us - 1, now_us)
        came = _one_by_one(due, start_us, until_us, skipped)
        overlapped = _let_in(came.chosen, policies, skipped)
        following = _following(due, came.last_us)
        if following is None or following > now_us:
            return _Come(overlapped, came.last_us)
        start_us = following
    is_late = now_us - start_us > policies.misfire_grace * 1_000_000
    if is_late or ((is_missed or now_us - start_us > BRIEF_US) and not due.follows_runs):
        come = _make_up(due, policies, start_us, now_us, now_us, skipped)
    else:
        come = _one_by_one(due, start_us, now_us, skipped)
    chosen = [*overlapped, *come.chosen]
    return come._replace(chosen=chosen[:1] if due.waits_for_end else chosen)


def _came_while_open(due: Due, policies: Policies, instant_us: int) -> bool:
    """Whether the execution before was still open at an instant, though it has ended by now."""
    if due.waits_for_end or policies.overlap_policy == "allow" or due.free_since_us is None:
        return False
    return instant_us < due.free_since_us


def _let_in(chosen: list[Chosen], policies: Policies, skipped: list[Skipped]) -> list[Chosen]:
    """The overlap policy for instants at which the execution before was open, that has ended meanwhile."""
    if policies.overlap_policy == "replace":
        skipped += [Skipped(at, "replaced", missed) for at, missed in chosen[:-1]]
        return chosen[-1:]
    room = policies.max_queued if policies.overlap_policy == "queue" else 0
    skipped += [Skipped(at, "overlap", missed) for at, missed in chosen[room:]]
    return chosen[:room]


def _one_by_one(due: Due, start_us: int, until_us: int, skipped: list[Skipped]) -> _Come:
    """Each instant from `start_us` on by itself, which may lie ahead; of very many the rest as one."""
    chosen: list[Chosen] = []
    last_us, instant_us = start_us, start_us
    following: int | None = start_us
    for _ in range(MAX_WALKED):
        if _is_over(due, instant_us):
            break
        last_us = instant_us
        if (reason := due.schedule.reason(from_microseconds(instant_us))) is not None:
            skipped.append(Skipped(instant_us, reason))
        else:
            chosen.append(Chosen(instant_us))
        following = _following(due, instant_us)
        if following is None or following > until_us:
            return _Come(chosen, last_us, following_us=following)
        instant_us = following
    else:
        rest, last_us = _summed_up(due, instant_us, until_us, skipped)
        return _Come(chosen if rest is None else [*chosen, rest], last_us)
    return _Come(chosen, last_us)


def _make_up(due: Due, policies: Policies, start_us: int, until_us: int, now_us: int, skipped: list[Skipped]) -> _Come:
    """The misfire policy: what becomes of the instants from `start_us` to `until_us`.

    A single one is not missed, only late, as long as it is within the grace.
    """
    missed, last_us = _summed_up(due, start_us, until_us, skipped)
    if missed is None:
        return _Come([], last_us)
    if missed.missed_count == 0 and now_us - missed.instant_us <= policies.misfire_grace * 1_000_000:
        return _Come([missed], last_us)
    if policies.misfire_policy == "skip":
        skipped.append(Skipped(missed.instant_us, "misfire", missed.missed_count))
        return _Come([], last_us)
    if policies.misfire_policy == "fire_once" or due.waits_for_end:
        return _Come([missed], last_us)
    beyond = missed.missed_count + 1 - policies.max_catchup
    chosen = [Chosen(at) for at in _to_run(due, start_us, missed.missed_count + 1 - max(beyond, 0))]
    if beyond <= 0:
        return _Come(chosen, last_us)
    reason = f"beyond max_catchup ({policies.max_catchup:,})"
    return _Come(chosen, last_us, (Skipped(missed.instant_us, reason, beyond - 1),))


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


def _admit(come: _Come, due: Due, policies: Policies, decision: Decision) -> None:
    """The overlap policy: what becomes of the chosen instants. Those after the last fire of max_fires are none."""
    left = len(come.made_up) + len(come.chosen) if due.fires_left is None else due.fires_left
    if left <= 0:
        return
    if policies.overlap_policy == "allow" and not due.waits_for_end:
        decision.fires = come.chosen[:left]
    elif not due.is_open:
        # Several are made up for: they never ran into each other, so none is skipped for the others' sake.
        decision.fires, decision.queued = come.chosen[:1], come.chosen[1:left]
        decision.made_up = len(decision.queued)
    else:
        decision.queued = come.made_up[:left]
        decision.made_up = len(decision.queued)
        _queue_or_skip(come.chosen, left - decision.made_up, due, policies, decision)


def _queue_or_skip(chosen: list[Chosen], left: int, due: Due, policies: Policies, decision: Decision) -> None:
    """What becomes of instants at which an execution is open."""
    if not chosen or left <= 0:
        return
    if policies.overlap_policy == "replace":
        decision.replaces_queued = due.made_up + decision.made_up > 0
        decision.replaces = not decision.replaces_queued
        decision.queued += chosen[-1:]
        decision.skipped += [Skipped(at, "replaced", missed) for at, missed in chosen[:-1]]
        return
    most = policies.max_queued if policies.overlap_policy == "queue" else 0
    room = max(0, (max(most, 1) if due.always_waits else most) - due.queued)
    decision.queued += chosen[: min(room, left)]
    if room < left:
        decision.skipped += [Skipped(at, "overlap", missed) for at, missed in chosen[room:]]


def _move_on(decision: Decision, due: Due, come: _Come, now_us: int, *, exhausted: bool) -> None:
    waits = due.waits_for_end and _taken(decision) > 0
    if exhausted:
        decision.finished = not waits
        return
    if waits:
        return
    if due.waits_for_end:
        # What counts from the end of a run that was skipped counts from now.
        decision.next_us = _following(due, max(come.last_us, now_us))
    elif come.following_us == _UNKNOWN:
        decision.next_us = _following(due, come.last_us)
    else:
        decision.next_us = come.following_us
    if decision.next_us is not None and _is_over(due, decision.next_us):
        decision.next_us = None
    decision.finished = decision.next_us is None


def _to_run(due: Due, start_us: int, count: int) -> Iterator[int]:
    """The first `count` instants to run from `start_us` on, which must be as many; excluded ones are passed over."""
    schedule = due.schedule
    instant: datetime | None = from_microseconds(start_us)
    while count and instant is not None:
        if schedule.reason(instant) is None:
            yield to_microseconds(instant)
            count -= 1
            instant = schedule.next_after(instant) if count else None
        else:
            found = schedule.to_run(instant)
            instant = found.instant
            if instant is None and found.excluded_until is not None:
                instant = schedule.first(found.excluded_until)


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
