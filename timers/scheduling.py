"""Public API: schedule, read and change timers from Python.

    from timers.scheduling import schedule_fixed_rate

    schedule_fixed_rate(group="MyTimerGroup", name=record_uuid, period=60, payload=message, until_committed=True)

Every call joins the caller's transaction: if the transaction is rolled back, the timer is not created. Durations are
seconds (int, float, timedelta) or ISO 8601 text ("PT1M30S"). Instants are aware datetimes or ISO 8601 text with an
offset. Time zones are IANA names. Invalid arguments raise `timers.exceptions.InvalidRequest`, which names every
invalid field, and nothing is saved. A taken name raises TimerExists, an exceeded quota QuotaExceeded (subclasses).

Every schedule_* function creates one timer and returns it. They share these arguments:

    group name       the timer's group, and its name, which is unique in the group
    payload          any JSON value, at most 64 KB
    handler          name of a registered handler; without it the group's action is used
    start_at end_at  no fire before / after these instants
    max_fires        the timer is finished after this number of fires
    jitter           seconds over which timers with the same instant are spread; a timer's offset is always the same
    priority         -9 to 9: higher ones of the group are claimed first when workers are short (default 0)
    until_committed  one execution, delivered again at each tick of the schedule until it is committed
    time_zone        time zone of cron expressions and of the times in the envelope (default UTC)
    overrides        policies of the group that this timer replaces, e.g. {"retry": {"max_retries": 1}}
    concurrency_key  key whose executions are limited together, if the group limits by key
    tags description labels, and text for people
    on_conflict      if the name is taken: "reject" (default), "replace", "keep"
    actor            the caller's name, for the audit trail
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from timers.control import change, create
from timers.control.backfill import Backfilled, backfill_timer, cancel_backfill
from timers.control.calendars import create_calendar, delete_calendar, update_calendar
from timers.control.change import (
    Cancelled,
    cancel_timer,
    fire_timer,
    pause_timer,
    resume_timer,
)
from timers.control.create import Created
from timers.control.delete import delete_group
from timers.control.groups import (
    create_group,
    ensure_group,
    find_groups,
    look_up_groups,
    pause_group,
    resume_group,
    update_group,
)
from timers.control.next_instant import rule_of
from timers.control.request import (
    Whose,
    anchor_of,
    counts_from,
    kind_of,
    known_changes,
    parse_request,
    parse_schedule,
    schedule_keywords,
)
from timers.control.sandbox import Advance, advance_clock, create_sandbox, freeze_clock, run_clock
from timers.control.skip_next import skip_next_fire
from timers.control.spec import TimerSpec
from timers.domain.errors import ErrorCollector
from timers.engine.group_clock import now_in
from timers.exceptions import InvalidRequest, TimerNotFound
from timers.insights.last_outcomes import tell_last_outcomes
from timers.insights.preview import preview_of
from timers.models import Timer
from timers.models.timer_rows import find_timer
from timers.schedules import Preview, Schedule
from timers.schedules import parse as parse_stored
from timers.schedules.duration import Duration
from timers.schedules.instant import parse_instant
from timers.schedules.kinds import keywords_of
from timers.schedules.rule import Rule

__all__ = [
    "Advance",
    "Backfilled",
    "Cancelled",
    "Created",
    "advance_clock",
    "backfill_timer",
    "cancel_backfill",
    "cancel_timer",
    "create_calendar",
    "create_group",
    "create_sandbox",
    "delete_calendar",
    "delete_group",
    "ensure_group",
    "fire_timer",
    "freeze_clock",
    "get_timer",
    "get_timers",
    "pause_group",
    "pause_timer",
    "preview_timer",
    "resume_group",
    "resume_timer",
    "run_clock",
    "schedule_calendar",
    "schedule_cron",
    "schedule_fixed_delay",
    "schedule_fixed_rate",
    "schedule_many",
    "schedule_once",
    "schedule_rrule",
    "schedule_timer",
    "schedule_window",
    "skip_next_fire",
    "update_calendar",
    "update_group",
    "update_timer",
]

Instant = datetime | str
MAX_PREVIEW: Final = 1000


def schedule_once(
    group: str, name: str, *, at: Instant | None = None, after: Duration | None = None, **options: Any
) -> Timer:
    """Schedule a timer that fires once.

    Args:
        at: Instant of the fire. Give either `at` or `after`.
        after: Duration from now to the fire.
        **options: The shared arguments (see the module), and `debounce_max_wait`: with on_conflict="replace", each call
            moves the instant of the existing timer, but never later than this duration after the timer was created.
    """
    return _create({"kind": "once", "group": group, "name": name, "at": at, "after": after, **options})


def schedule_fixed_rate(group: str, name: str, *, period: Duration, **options: Any) -> Timer:
    """Schedule a timer that fires every `period`, counted from start_at (default: now).

    Without start_at the first fire is one period from now.
    """
    return _create({"kind": "fixed_rate", "group": group, "name": name, "period": period, **options})


def schedule_fixed_delay(group: str, name: str, *, delay: Duration, **options: Any) -> Timer:
    """Schedule a timer that fires `delay` after the end of the previous execution.

    The first fire is at start_at, or `delay` from now without it.
    """
    return _create({"kind": "fixed_delay", "group": group, "name": name, "delay": delay, **options})


def schedule_cron(group: str, name: str, *, expression: str, time_zone: str = "UTC", **options: Any) -> Timer:
    """Schedule a timer that fires by a cron expression.

    Args:
        expression: 5 fields; 6 with seconds first; 7 with the year last; or an alias such as @daily.
        time_zone: IANA name of the zone whose wall clock the expression describes.
        **options: The shared arguments (see the module), and two for clock changes. `gap`: "run_after" (a skipped time
            fires at the end of the gap) or "skip". `fold`: "once" or "twice" (whether a repeated time fires both
            times). The defaults depend on the expression (see timers/schedules/clock_policy.py).
    """
    return _create(
        {"kind": "cron", "group": group, "name": name, "expression": expression, "time_zone": time_zone, **options}
    )


def schedule_calendar(group: str, name: str, *, time_zone: str = "UTC", **options: Any) -> Timer:
    """Schedule a timer that fires by a calendar expression of Jakarta Enterprise Beans.

    Args:
        time_zone: IANA name of the zone whose wall clock the expression describes.
        **options: The attributes second, minute, hour (default "0"), day_of_month, month, day_of_week, year (default
            "*"); `gap` and `fold` as in schedule_cron; and the shared arguments (see the module).
    """
    return _create({"kind": "calendar", "group": group, "name": name, "time_zone": time_zone, **options})


def schedule_window(
    group: str, name: str, *, begin: str, end: str, every: Duration, time_zone: str = "UTC", **options: Any
) -> Timer:
    """Schedule a timer that fires repeatedly within a daily window, such as 13:00 to 15:00 every 30 minutes.

    Args:
        begin: Wall-clock time at which the window begins; it fires.
        end: Wall-clock time at which the window ends; it does not fire.
        every: Duration between two fires.
        time_zone: IANA name of the zone of `begin` and `end`.
        **options: `weekdays`, the days on which the window begins, such as ["mon", "fri"] (default all); `gap` and
            `fold` as in schedule_cron; and the shared arguments (see the module).
    """
    own = {"begin": begin, "end": end, "every": every}
    return _create({"kind": "window", "group": group, "name": name, **own, "time_zone": time_zone, **options})


def schedule_rrule(group: str, name: str, *, rule: str, time_zone: str = "UTC", **options: Any) -> Timer:
    """Schedule a timer that fires by an iCalendar recurrence rule (RFC 5545).

    Args:
        rule: Such as FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=17;BYMINUTE=0. It counts from start_at (default: now).
        time_zone: IANA name of the zone of the rule.
        **options: `gap` and `fold` as in schedule_cron, and the shared arguments.
    """
    return _create({"kind": "rrule", "group": group, "name": name, "rule": rule, "time_zone": time_zone, **options})


def schedule_timer(request: Mapping[str, Any], *, on_conflict: str = "reject", actor: str = "") -> Created:
    """Create one timer; return whether it was created, replaced or kept, and its row.

    Args:
        request: The keywords of a schedule_* function and `kind`: once, fixed_rate, fixed_delay, cron, calendar,
            window or rrule, or a kind that an app has registered.
        on_conflict: What to do if the name is taken: "reject", "replace" or "keep".
        actor: Name of the caller, for the audit trail.
    """
    found = look_up_groups([_group_of(request)])
    spec = parse_request(request, found.now_in(_group_of(request)))
    (created,) = create.create_timers([spec], on_conflict=on_conflict, actor=actor, found=found)
    return created


def schedule_many(
    requests: Iterable[Mapping[str, Any]], *, on_conflict: str = "reject", actor: str = ""
) -> list[Created]:
    """Create many timers in one statement, all or none; return one result for each request, in their order.

    Args:
        requests: Each as in schedule_timer, as are `on_conflict` and `actor`.

    Raises:
        InvalidRequest: For all errors of all requests; a field is prefixed with its request's number, from 0.
    """
    requests = list(requests)
    found = look_up_groups({_group_of(request) for request in requests})
    specs: list[TimerSpec] = []
    problems: list[InvalidRequest] = []
    for number, request in enumerate(requests):
        try:
            specs.append(parse_request(request, found.now_in(_group_of(request))))
        except InvalidRequest as error:
            problems += [InvalidRequest(f"{number}.{problem.field}", problem.message) for problem in error.problems]
    if problems:
        raise InvalidRequest.combined(problems)
    return create.create_timers(specs, on_conflict=on_conflict, actor=actor, found=found) if specs else []


def update_timer(group: str, name: str, *, actor: str = "", version: int | None = None, **changes: Any) -> Timer:
    """Change the given keywords of a timer, and return it.

    Keywords that are not given keep their values. The kind changes if `kind` or a keyword of another kind is given. A
    rate or a rule keeps counting from the same instant unless `start_at` changes.

    Args:
        actor: Name of the caller, for the audit trail.
        version: Version of the timer that the caller read; None: any.
        **changes: Keywords of the schedule_* functions.

    Raises:
        StaleVersion: The timer has changed since `version`.
        TimerNotFound: The timer does not exist.
        NotAllowedNow: The timer is cancelled.
    """
    mistakes = ErrorCollector()
    changes = known_changes(changes, mistakes)
    schedule: Callable[[], Schedule] | None = None
    if (schedule_keywords() | {"start_at"}) & set(changes):
        request = {keyword: changes.pop(keyword) for keyword in schedule_keywords() & set(changes)}
        schedule = _EditedSchedule(group, name, request, changes)
    return change.update_timer(
        group, name, actor=actor, version=version, schedule=schedule, mistakes=mistakes, **changes
    )


class _EditedSchedule:
    """Callable that builds a timer's schedule after a change, from the given and the kept keywords."""

    def __init__(self, group: str, name: str, own: dict[str, Any], changes: Mapping[str, Any]) -> None:
        self._group, self._name = group, name
        self._is_of_kind = "kind" in own
        self._own, self._changes = own, changes

    def __call__(self) -> Schedule:
        timer = get_timer(self._group, self._name)
        time_zone, stored = self._changes.get("time_zone", timer.time_zone), timer.schedule
        own = {keyword: value for keyword, value in self._own.items() if keyword != "kind"}
        kind = self._own["kind"] if self._is_of_kind else kind_of(own) or timer.schedule_kind
        is_over = timer.state == Timer.State.FINISHED
        if kind == timer.schedule_kind and not own and (is_over or counts_from(kind) is None):
            return parse_stored(kind, stored, time_zone)
        start_at, kept, anchor = self._changes.get("start_at", timer.start_at), {}, None
        if kind == timer.schedule_kind and isinstance(stored, dict):
            # Keywords that were not given are kept, except for `once`, whose two keywords exclude each other.
            if kind != "once":
                kept = {word: value for word, value in stored.items() if word in keywords_of(kind)}
            if start_at is None or _is_instant(start_at, timer.start_at):
                anchor = anchor_of(kind, stored)
        whose = Whose(self._group, self._name, time_zone, start_at, anchor)
        schedule = parse_schedule(kind, {**kept, **own}, whose, now_in(self._group))
        if is_over and anchor is not None and Rule(kind, schedule.to_spec(), time_zone) != rule_of(timer):
            # A finished timer with another rule starts again and counts from now.
            return parse_schedule(kind, {**kept, **own}, whose._replace(anchor=None), now_in(self._group))
        return schedule


def _is_instant(given: Any, instant: datetime | None) -> bool:
    """Whether the given value is this instant; False if the value is invalid."""
    try:
        return parse_instant(given, "start_at") == instant
    except InvalidRequest:
        return False


def get_timer(group: str, name: str) -> Timer:
    """Return the timer. Raises TimerNotFound."""
    found = find_timer(group, name)
    if found is None:
        raise TimerNotFound(f"there is no timer {name!r} in group {group!r}")
    tell_last_outcomes([found[0]])
    return found[0]


def preview_timer(group: str, name: str, n: int = 10, **keywords: Any) -> Preview:
    """Return the next fires of a timer, a description and warnings, computed by the code that fires.

    Args:
        n: Number of fires, 1 to 1,000.
        **keywords: To preview a timer that is not stored, the keywords of a schedule_* function and its `kind`.

    Raises:
        TimerNotFound: No keywords were given and the timer does not exist.
    """
    mistakes = ErrorCollector()
    n = mistakes.check(lambda: _check_n(n))
    now = now_in(group)
    if not keywords:
        mistakes.raise_if_any()
        return preview_of(get_timer(group, name), n, after=now)
    spec = mistakes.check(lambda: parse_request({"group": group, "name": name, **keywords}, now))
    mistakes.raise_if_any()
    groups = find_groups([spec.group]).groups
    planned = Timer(
        group=groups[spec.group],
        name=spec.name,
        schedule_kind=spec.schedule.kind,
        schedule=spec.schedule.to_spec(),
        time_zone=spec.time_zone,
        start_at=spec.start_at,
        end_at=spec.end_at,
        max_fires=spec.max_fires,
        jitter=spec.jitter,
        overrides=None if spec.overrides is None else json.loads(spec.overrides),
    )
    return preview_of(planned, n, after=now)


def get_timers(group: str, *, name_contains: str = "", state: str = "", limit: int = 1000) -> list[Timer]:
    """Return at most `limit` timers of a group, ordered by name; none if the group does not exist.

    Args:
        name_contains: Text that the name must contain, case-sensitive; empty: any name.
        state: State of the timers; empty: any state.
    """
    timers = Timer.objects.filter(group__name=group).select_related("group")
    if name_contains:
        timers = timers.filter(name__contains=name_contains)
    if state:
        timers = timers.filter(state=state)
    found = list(timers.order_by("name")[:limit])
    tell_last_outcomes(found)
    return found


def _check_n(n: Any) -> int:
    if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= MAX_PREVIEW:
        raise InvalidRequest("n", f"must be a whole number from 1 to {MAX_PREVIEW:,}", given=n)
    return n


def _group_of(request: Any) -> str:
    """Return the group of a request, or an empty text if it has none; parsing reports that error."""
    group = request.get("group") if isinstance(request, Mapping) else None
    return group if isinstance(group, str) else ""


def _create(request: dict[str, Any]) -> Timer:
    on_conflict, actor = request.pop("on_conflict", "reject"), request.pop("actor", "")
    created = schedule_timer(request, on_conflict=on_conflict, actor=actor)
    timer = created.timer or Timer.objects.select_related("group").get(id=created.id)
    timer.in_flight = created.in_flight
    return timer
