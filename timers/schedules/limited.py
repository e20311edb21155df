"""Limited: a schedule under exclusion calendars that computes only so much at once, and remembers what is costly.

Without calendars no answer is costly. With them a count over ten years takes some hundred milliseconds, and so does a
thousand instants one by one: too long while rows are locked. Whoever holds locks asks a limited schedule; where an
answer would exceed the limit it raises Uncomputed, and nothing has been computed. Without the locks the same is asked
of the same schedule as it remembers (see Limited.remembering); asked again, the limited one has these answers.

An answer is estimated before it is computed, from what is asked alone, so the same is refused on every machine. Counts
of disjoint stretches add up: one that is remembered serves for every stretch that is about the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from threading import Lock
from typing import Any, ClassVar, Final, NamedTuple, Self, TypeVar, cast

from timers.exceptions import InvalidRequest
from timers.schedules.excluding import Excluding
from timers.schedules.instant import in_utc
from timers.schedules.interval import FixedDelay, FixedRate
from timers.schedules.schedule import Missed, Schedule, ToRun

Answer = TypeVar("Answer")

MOST_WHILE_LOCKED: Final = 800
"""Units that one decision may cost."""
MOST_AT_ONCE: Final = 20_000
"""Units that are computed and remembered before the rest is left to the next time."""
_ASK: Final = 4
_SEARCH: Final = 1_000
"""For the first instant that is to run, while rows are locked: up to 500 excluded blocks are passed over."""
_DAY: Final = 1
_DAY_OF_FRACTIONS: Final = 30
"""A rate of fractions of a second whose excluded instants move: each day is counted by itself."""
_AROUND_MOVES: Final = 40
"""A count with moves looks at the days from and to which instants move."""
_MOST_COUNTS: Final = 8
_MOST_ASKS: Final = 100_000
"""Answers for single instants that are remembered, of all schedules."""
_MICROSECOND: Final = timedelta(microseconds=1)
_UNKNOWN: Final = object()


class Uncomputed(Exception):
    """The answer would cost more than is allowed; call `compute` without a lock, and repeat."""

    def __init__(self, compute: Callable[[], object]) -> None:
        super().__init__()
        self.compute = compute


@dataclass(slots=True)
class Allowance:
    """What may still be computed, in units of some 25 microseconds; several schedules may share it."""

    left: int = MOST_WHILE_LOCKED


@dataclass(frozen=True, slots=True)
class _Failed:
    """Why there is no answer: it is not asked for again and again."""

    error: Exception


class _Count(NamedTuple):
    """What was counted from `begin` to before `end`."""

    begin: datetime
    end: datetime
    found: Missed | None


@dataclass(slots=True)
class Answers:
    """What is remembered of one schedule."""

    of_instants: dict[tuple[str, datetime], Any] = field(default_factory=dict)
    counts: dict[bool, tuple[_Count, ...]] = field(default_factory=dict)
    """By whether the excluded instants were counted, or those that run; the latest ones."""


class Memory:
    """The costly answers of some schedules, which threads may share; beyond `most` the oldest are forgotten."""

    def __init__(self, most: int = 64) -> None:
        self._most = most
        self._answers: dict[Excluding, Answers] = {}
        self._lock = Lock()

    def known(self, schedule: Excluding) -> Answers | None:
        """What is remembered of a schedule, if anything."""
        return self._answers.get(schedule) if self._answers else None

    def kept(self, schedule: Excluding) -> Answers:
        """The place for what is to be remembered of it."""
        with self._lock:
            answers = self._answers.pop(schedule, None) or Answers()
            self._answers[schedule] = answers
            for oldest in list(islice(self._answers, max(0, len(self._answers) - self._most))):
                del self._answers[oldest]
            while sum(len(each.of_instants) for each in self._answers.values()) > _MOST_ASKS:
                oldest = next(iter(self._answers))
                self._answers[oldest].of_instants.clear()
                self._answers[oldest] = self._answers.pop(oldest)
            return answers


class Limited(Schedule):
    """What a schedule answers, as far as the allowance goes; see the module."""

    __slots__ = ("_allowance", "_answers", "_memory", "_remembers", "_schedule")

    kind: ClassVar[str] = "limited"

    def __init__(self, schedule: Excluding, memory: Memory, allowance: Allowance, *, remembers: bool = False) -> None:
        self._schedule = schedule
        self._memory = memory
        self._allowance = allowance
        self._remembers = remembers
        self._answers = memory.kept(schedule) if remembers else memory.known(schedule)

    @classmethod
    def parse(cls, spec: Mapping[str, Any], time_zone: str) -> Self:  # noqa: ARG003
        raise InvalidRequest("schedule_kind", "is made of a schedule and a limit, it has no spec of its own")

    def remembering(self, most: int = MOST_AT_ONCE) -> Limited:
        """The same schedule for whoever holds no lock: any count is computed, and all answers are remembered.

        Of single instants so many are computed that it takes about half a second; then it raises Uncomputed as well,
        and goes on from there the next time.
        """
        return Limited(self._schedule, self._memory, Allowance(most), remembers=True)

    def first(self, not_before: datetime) -> datetime | None:
        return self._asked("first", not_before, self._schedule.first)

    def next_after(self, moment: datetime) -> datetime | None:
        return self._asked("next_after", moment, self._schedule.next_after)

    def reason(self, instant: datetime) -> str | None:
        return self._asked("reason", instant, self._schedule.reason)

    def to_run(self, moment: datetime) -> ToRun:
        return self._asked("to_run", moment, self._searched, _ASK if self._remembers else _SEARCH)

    def missed(self, first: datetime, until: datetime) -> Missed | None:
        if until <= first or isinstance(self._schedule.schedule, FixedDelay):
            return Missed(in_utc(first), 1) if self.reason(first) is None else None
        return self.count_between(in_utc(first), in_utc(until) + _MICROSECOND, excluded=False)

    def excluded(self, first: datetime, until: datetime) -> Missed | None:
        if until <= first or isinstance(self._schedule.schedule, FixedDelay):
            return None if self.reason(first) is None else Missed(in_utc(first), 1)
        return self.count_between(in_utc(first), in_utc(until) + _MICROSECOND, excluded=True)

    def describe(self) -> str:
        return self._schedule.describe()

    def to_spec(self) -> dict[str, Any]:
        return self._schedule.to_spec()

    def _asked(self, name: str, instant: datetime, compute: Callable[[datetime], Answer], cost: int = _ASK) -> Answer:
        key = name, instant
        known = _UNKNOWN if self._answers is None else self._answers.of_instants.get(key, _UNKNOWN)
        if isinstance(known, _Failed):
            raise known.error
        if known is not _UNKNOWN:
            return cast("Answer", known)
        self._spend(cost, lambda: getattr(self.remembering(), name)(instant))
        found = self._computed(key, lambda: compute(instant))
        if self._remembers and self._answers is not None:
            self._answers.of_instants[key] = found
        return found

    def _searched(self, moment: datetime) -> ToRun:
        found = self._schedule.to_run(moment)
        end = found.instant or found.excluded_until
        self._allowance.left -= 0 if end is None else (end - moment).days * _ASK
        return found

    def count_between(self, begin: datetime, end: datetime, *, excluded: bool) -> Missed | None:
        """The count from `begin` to before `end`: a remembered one, and what lies between the two."""
        key, known = ("excluded" if excluded else "missed", begin), self._answers
        if known is not None and isinstance(failed := known.of_instants.get(key), _Failed):
            raise failed.error
        counts = () if known is None else known.counts.get(excluded, ())
        cost, near = self._cost(begin, end, excluded=excluded), None
        for each in counts:
            if begin < each.end <= end:
                beside = self._cost(each.begin, begin, excluded=excluded) + self._cost(each.end, end, excluded=excluded)
                if beside < cost:
                    cost, near = beside, each
        if not self._remembers:
            self._spend(cost, lambda: self.remembering().count_between(begin, end, excluded=excluded))
        if near is None:
            found = self._computed(key, lambda: self._schedule.counted(begin, end, excluded=excluded))
        else:
            found = self._computed(key, lambda: self._adjusted(near, begin, end, excluded=excluded))
        if self._remembers and known is not None:
            known.counts[excluded] = (*counts, _Count(begin, end, found))[-_MOST_COUNTS:]
        return found

    def _computed(self, key: tuple[str, datetime], compute: Callable[[], Answer]) -> Answer:
        try:
            return compute()
        except Exception as error:
            if self._remembers and self._answers is not None:
                self._answers.of_instants[key] = _Failed(error)
            raise

    def _adjusted(self, known: _Count, begin: datetime, end: datetime, *, excluded: bool) -> Missed | None:
        count, latest = (0, None) if known.found is None else (known.found.count, known.found.latest)
        low, high = sorted((begin, known.begin))
        between = self._schedule.counted(low, high, excluded=excluded) if low < high else None
        behind = self._schedule.counted(known.end, end, excluded=excluded) if known.end < end else None
        if between is not None:
            count += between.count if begin < known.begin else -between.count
            latest = latest or between.latest
        if behind is not None:
            count, latest = count + behind.count, behind.latest
        return Missed(latest, count) if count and latest is not None else None

    def _cost(self, begin: datetime, end: datetime, *, excluded: bool) -> int:
        """The units of a count between two instants, in whichever order."""
        if begin == end:
            return 0
        schedule = self._schedule.schedule
        moves = self._schedule.moves_excluded and not excluded
        is_of_fractions = isinstance(schedule, FixedRate) and schedule.period % timedelta(seconds=1) != timedelta(0)
        a_day = _DAY_OF_FRACTIONS if moves and is_of_fractions else _DAY
        return _ASK + (abs(end - begin).days + 1) * a_day + (_AROUND_MOVES if moves else 0)

    def _spend(self, cost: int, compute: Callable[[], object]) -> None:
        if self._allowance.left < (1 if self._remembers else cost):
            raise Uncomputed(compute)
        self._allowance.left -= cost


def limited(schedule: Schedule, memory: Memory, allowance: Allowance | None = None) -> Schedule:
    """A schedule for whoever holds locks: itself, where no answer of it is costly."""
    if type(schedule) is not Excluding:  # by far the most; isinstance is ten times as slow for an abstract class
        return schedule
    return Limited(schedule, memory, allowance or Allowance())


def remembering(schedule: Schedule) -> Schedule:
    """The same for whoever holds none; what it answers is remembered for the limited one."""
    return schedule.remembering() if isinstance(schedule, Limited) else schedule
