"""Limited: a schedule under exclusion calendars with a computation limit, and a cache of costly results.

Without calendars no computation is costly. With them a count over ten years takes some hundred milliseconds, and so do
a thousand single instants: too long while rows are locked. Code that holds locks uses a limited schedule; if a result
would exceed the limit, it raises Uncomputed, and nothing has been computed. The code then releases the locks, computes
the result with the caching schedule (see Limited.remembering), and repeats: the limited schedule now has the result.

The cost is estimated before computing, from the arguments alone, so the same computation is refused on every machine.
Counts of disjoint time ranges add up: a cached one serves every range that is about the same.
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
"""Units that are computed and cached before the rest is left to the next call."""
_ASK: Final = 4
_SEARCH: Final = 1_000
"""Cost of searching the first instant that runs, while rows are locked: up to 500 excluded blocks are skipped."""
_DAY: Final = 1
_DAY_OF_FRACTIONS: Final = 30
"""Cost of a day for a rate of fractions of a second whose excluded instants move: each day is counted separately."""
_AROUND_MOVES: Final = 40
"""Additional days of a count with moves: those from and to which instants move."""
_MOST_COUNTS: Final = 8
_MOST_ASKS: Final = 100_000
"""Maximum number of cached results for single instants, of all schedules."""
_MICROSECOND: Final = timedelta(microseconds=1)
_UNKNOWN: Final = object()


class Uncomputed(Exception):
    """The result would cost more than is allowed; call `compute` without a lock, and repeat."""

    def __init__(self, compute: Callable[[], object]) -> None:
        super().__init__()
        self.compute = compute


@dataclass(slots=True)
class Allowance:
    """Remaining cost that may be spent, in units of about 25 microseconds; several schedules may share it."""

    left: int = MOST_WHILE_LOCKED


@dataclass(frozen=True, slots=True)
class _Failed:
    """Why there is no result; cached so that it is not computed repeatedly."""

    error: Exception


class _Count(NamedTuple):
    """A count from `begin` to before `end`."""

    begin: datetime
    end: datetime
    found: Missed | None


@dataclass(slots=True)
class Answers:
    """Cached results of one schedule."""

    of_instants: dict[tuple[str, datetime], Any] = field(default_factory=dict)
    counts: dict[bool, tuple[_Count, ...]] = field(default_factory=dict)
    """The latest counts: by whether excluded instants were counted, or those that run."""


class Memory:
    """Thread-safe cache of the costly results of some schedules; beyond `most` the oldest are dropped."""

    def __init__(self, most: int = 64) -> None:
        self._most = most
        self._answers: dict[Excluding, Answers] = {}
        self._lock = Lock()

    def known(self, schedule: Excluding) -> Answers | None:
        """Return the cached results of a schedule, if there are any."""
        return self._answers.get(schedule) if self._answers else None

    def kept(self, schedule: Excluding) -> Answers:
        """Return the cache entry of a schedule; create it if needed."""
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
    """A schedule whose computations are limited by an allowance; see the module."""

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
        """Return the same schedule for code without locks: any count is computed, and all results are cached.

        At most `most` units of single instants are computed at once, which takes about half a second; then it also
        raises Uncomputed, and the next call continues from there.
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
        """Return the count from `begin` to before `end`: a cached count, and the difference between the two ranges."""
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
        """Return the units of a count between two instants, in either order."""
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
    """Return a schedule for code that holds locks; the schedule itself if none of its results is costly."""
    if type(schedule) is not Excluding:  # the usual case; isinstance is ten times as slow for an abstract class
        return schedule
    return Limited(schedule, memory, allowance or Allowance())


def remembering(schedule: Schedule) -> Schedule:
    """Return the schedule for code without locks; its results are cached for the limited one."""
    return schedule.remembering() if isinstance(schedule, Limited) else schedule
