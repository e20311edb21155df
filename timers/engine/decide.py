"""Decide what a due timer does now: fire, queue, skip, wait. Pure: no database, no clock.

A decision has two steps. First, which of the instants that have come should run at all (choose: exclusion calendars,
max_lateness, misfire policy)? Second, may they run now (admit: overlap policy)?
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
"""Maximum value of a missed_count."""
MAX_WALKED = 1000
"""Instants that a decision looks at one by one; those beyond are counted and get one row."""
BRIEF_US = 1_500_000
"""Lateness up to which a fire does not indicate an outage: a worker was busy for a moment.

Several instants that are due at once and within it each run, one after the other; beyond it they are missed.
"""


@dataclass(frozen=True, slots=True)
class Due:
    """A timer whose next instant has come, or comes within the look-ahead (microseconds UTC, nominal)."""

    schedule: Schedule
    next_us: int
    is_open: bool = False
    """Whether its previous execution is still open."""
    queued: int = 0
    """Number of fires queued behind the open one because they came while it was open."""
    made_up: int = 0
    """Number of fires queued behind the open one because their instants were missed."""
    always_waits: bool = False
    """Whether its fire waits behind an open execution even where the policy would skip it.

    A one-shot has no other fire, and a backfill must not displace the schedule.
    """
    free_since_us: int | None = None
    """When its latest execution ended: instants before that came due while it was open."""
    watched_since_us: int | None = None
    """Since when the deciding node has looked for due work without a break; None: always."""
    resumed_us: int | None = None
    """When the timer or its group was last paused or resumed."""
    waits_for_end: bool = False
    """Whether the next instant is known only at the end of the execution (fixed_delay, until_committed)."""
    follows_runs: bool = False
    """Whether its instants follow from its runs (fixed_delay): there is never more than the one that is due."""
    end_us: int | None = None
    fires_left: int | None = None
    unwanted: str = ""
    """Why none of its instants should run (nobody wants them); empty: they should."""

    @property
    def could_fire_since_us(self) -> int | None:
        """Since when the timer could be fired at any moment, as far as the deciding node knows; None: always."""
        known = [each for each in (self.watched_since_us, self.resumed_us) if each is not None]
        return max(known, default=None)

    def is_missed(self, instant_us: int, now_us: int) -> bool:
        """Whether no node could fire an instant that has come, so that the misfire policy applies.

        A node that starts to look does not know whether another node looked before. So its start alone does not make an
        instant missed that came due just before: the other node may have been busy for a moment.
        """
        is_brief = now_us - instant_us <= BRIEF_US
        since_us = self.resumed_us if is_brief else self.could_fire_since_us
        return since_us is not None and instant_us < since_us


class Chosen(NamedTuple):
    """An instant to run, and how many further missed instants it represents."""

    instant_us: int
    missed_count: int = 0


class Skipped(NamedTuple):
    """An instant that does not run, the reason, and how many further instants its row represents."""

    instant_us: int
    reason: str
    missed_count: int = 0


@dataclass(slots=True)
class Decision:
    """Fires and skips of one timer, and its state afterwards."""

    fires: list[Chosen] = field(default_factory=list)
    queued: list[Chosen] = field(default_factory=list)
    """Fires that run one after the other, once the running one (or the fire before them) has ended."""
    made_up: int = 0
    """How many of the queued fires, from the first, make up for missed instants: no later fire replaces them."""
    skipped: list[Skipped] = field(default_factory=list)
    replaces: bool = False
    """Whether the open execution, and those queued behind it, are replaced by the one queued here."""
    replaces_queued: bool = False
    """Whether only queued fires are replaced, except those that make up for missed instants."""
    next_us: int | None = None
    finished: bool = False


_UNKNOWN = -1


class _Come(NamedTuple):
    """The instants of a timer that have come."""

    chosen: list[Chosen]
    """Instants to run, oldest first."""
    last_us: int
    """The latest instant that was handled."""
    beyond: tuple[Skipped, ...] = ()
    """Instants beyond max_catchup."""
    made_up: list[Chosen] = []
    """Instants that run before the chosen ones whatever is open now: nobody could fire them when they came due."""
    following_us: int | None = _UNKNOWN
    """The instant after the latest, where it is already known; None: there is none."""


def decide(due: Due, policies: Policies, now_us: int) -> Decision:
    """Decide by the policies what happens to all instants that have come.

    Args:
        due: the timer.
        policies: its policies.
        now_us: the current instant by the group's clock, without the timer's jitter (microseconds).
    """
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
    """Skip what is later than max_lateness; choose from the rest by whether an execution is open."""
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
    """Choose behind an open execution: make up for what nobody could fire, treat the rest as overlapping."""
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
    """Choose while no execution is open: several instants that nobody could fire are missed, whatever the grace."""
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
    """Whether the previous execution was still open at an instant, though it has ended by now."""
    if due.waits_for_end or policies.overlap_policy == "allow" or due.free_since_us is None:
        return False
    return instant_us < due.free_since_us


def _let_in(chosen: list[Chosen], policies: Policies, skipped: list[Skipped]) -> list[Chosen]:
    """Apply the overlap policy to instants at which the previous execution, ended meanwhile, was open."""
    if policies.overlap_policy == "replace":
        skipped += [Skipped(at, "replaced", missed) for at, missed in chosen[:-1]]
        return chosen[-1:]
    room = policies.max_queued if policies.overlap_policy == "queue" else 0
    skipped += [Skipped(at, "overlap", missed) for at, missed in chosen[room:]]
    return chosen[:room]


def _one_by_one(due: Due, start_us: int, until_us: int, skipped: list[Skipped]) -> _Come:
    """Choose each instant from `start_us` on, which may lie ahead; beyond MAX_WALKED the rest becomes one."""
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
    """Apply the misfire policy to the instants from `start_us` to `until_us`.

    A single instant within the grace is late, not missed.
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
    """Return the latest instant to run of a range, for all (None: there is none), and the latest instant of any.

    Excluded instants get their skipped row here, one for all.
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
    """Apply the overlap policy to the chosen instants; instants beyond max_fires are dropped."""
    left = len(come.made_up) + len(come.chosen) if due.fires_left is None else due.fires_left
    if left <= 0:
        return
    if policies.overlap_policy == "allow" and not due.waits_for_end:
        decision.fires = come.chosen[:left]
    elif not due.is_open:
        # Several fires make up for missed instants: they never overlapped each other, so none is skipped.
        decision.fires, decision.queued = come.chosen[:1], come.chosen[1:left]
        decision.made_up = len(decision.queued)
    else:
        decision.queued = come.made_up[:left]
        decision.made_up = len(decision.queued)
        _queue_or_skip(come.chosen, left - decision.made_up, due, policies, decision)


def _queue_or_skip(chosen: list[Chosen], left: int, due: Due, policies: Policies, decision: Decision) -> None:
    """Queue, replace or skip instants at which an execution is open."""
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
        # The schedule counts from the end of a run; the run was skipped, so it counts from now.
        decision.next_us = _following(due, max(come.last_us, now_us))
    elif come.following_us == _UNKNOWN:
        decision.next_us = _following(due, come.last_us)
    else:
        decision.next_us = come.following_us
    if decision.next_us is not None and _is_over(due, decision.next_us):
        decision.next_us = None
    decision.finished = decision.next_us is None


def _to_run(due: Due, start_us: int, count: int) -> Iterator[int]:
    """Yield the first `count` instants to run from `start_us` on (as many must exist); skip excluded ones."""
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
    """Return the latest instant to run from `start_us` to `until_us`, representing all; None when there is none."""
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
