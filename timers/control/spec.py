"""TimerSpec: a request for a timer, validated as a whole before anything is written."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from timers import actions
from timers.control.action_checks import check_action
from timers.control.names import check_name, check_text, check_word
from timers.domain.errors import ErrorCollector
from timers.domain.limit_keys import check_key
from timers.domain.payload import encode
from timers.domain.policies import Policies, checked_overrides, overridden
from timers.domain.shards import shard_of
from timers.exceptions import InvalidRequest
from timers.models import Timer, TimerGroup
from timers.schedules import Schedule
from timers.schedules.duration import parse_duration
from timers.schedules.instant import parse_instant
from timers.schedules.jitter import jitter_offset_us

MAX_TAGS: Final = 50
MAX_FIRES: Final = 2**31 - 1
MAX_PRIORITY: Final = 9
MAX_JITTER_US: Final = 366 * 86_400 * 1_000_000


@dataclass(frozen=True, slots=True)
class TimerSpec:
    """A validated request for a timer; texts are JSON, instants are aware datetimes."""

    group: str
    name: str
    schedule: Schedule
    time_zone: str
    payload: str | None
    start_at: datetime | None = None
    end_at: datetime | None = None
    max_fires: int | None = None
    jitter: float = 0
    """Seconds over which timers of the same instant are spread."""
    priority: int = 0
    until_committed: bool = False
    action: str | None = None
    overrides: str | None = None
    concurrency_key: str | None = None
    debounce_max_wait: float | None = None
    """Maximum seconds after its creation to which replacements can postpone the timer; not stored with the timer."""
    tags: tuple[str, ...] = ()
    description: str = ""
    source: str = ""
    """Where the timer is declared; empty: nowhere."""
    declared: str | None = None

    @classmethod
    def parse(
        cls,
        *,
        group: Any,
        name: Any,
        schedule: Callable[[], Schedule],
        time_zone: Any = "UTC",
        payload: Any = None,
        start_at: Any = None,
        end_at: Any = None,
        max_fires: Any = None,
        jitter: Any = 0,
        priority: Any = 0,
        until_committed: Any = False,
        action: Any = None,
        handler: Any = None,
        overrides: Any = None,
        concurrency_key: Any = None,
        tags: Any = (),
        description: Any = "",
        mistakes: ErrorCollector | None = None,
        looks_up: bool = True,
    ) -> TimerSpec:
        """Validate every field and raise one InvalidRequest that names all errors.

        Args:
            schedule: makes the schedule, so that its errors are reported together with the others.
            mistakes: errors found earlier.
            looks_up: whether, if there is any error, the database is queried whether the action can be carried out. A
                valid request is read without that query.
        """
        mistakes = ErrorCollector() if mistakes is None else mistakes
        check = mistakes.check
        if handler is not None:
            action = check(lambda: _action_of(handler, action))
        done = None if action is None else actions.read(action, mistakes)
        spec = cls(
            group=check(lambda: check_name("group", group)),
            name=check(lambda: check_name("name", name)),
            schedule=check(schedule),
            time_zone=time_zone,
            payload=None if payload is None else check(lambda: encode(payload)),
            start_at=None if start_at is None else check(lambda: parse_instant(start_at, "start_at")),
            end_at=None if end_at is None else check(lambda: parse_instant(end_at, "end_at")),
            max_fires=None if max_fires is None else check(lambda: _check_max_fires(max_fires)),
            jitter=check(lambda: _check_jitter(jitter), 0.0),
            priority=check(lambda: check_priority(priority), 0),
            until_committed=check(lambda: _check_flag("until_committed", until_committed)),
            action=None if done is None else json.dumps(done.to_spec()),
            overrides=None if overrides is None else check(lambda: _check_overrides(overrides)),
            concurrency_key=None
            if concurrency_key is None
            else check(lambda: check_key("concurrency_key", concurrency_key)),
            tags=check(lambda: _check_tags(tags), ()),
            description=check(lambda: check_text("description", description), ""),
        )
        if spec.start_at is not None and spec.end_at is not None and spec.end_at < spec.start_at:
            mistakes.add(InvalidRequest("end_at", "must not be before start_at", given=spec.end_at.isoformat()))
        if spec.jitter and spec.schedule is not None and spec.schedule.kind == "fixed_delay":
            mistakes.add(
                InvalidRequest("jitter", "spreads instants that a clock sets; those of fixed_delay follow the runs")
            )
        if looks_up and mistakes and done is not None:
            # A valid action is checked when it is written, once for all timers with the same action.
            check(lambda: check_action(done, spec.group or ""))
        mistakes.raise_if_any()
        return spec

    def first_fire(self, now: datetime, schedule: Schedule | None = None) -> datetime:
        """Return the first (nominal) instant at or after now and start_at. Raise InvalidRequest if there is none.

        Args:
            now: current time of the timer's group.
            schedule: the schedule with exclusion calendars, if the timer's policies name some; None: without.
        """
        schedule = schedule or self.schedule
        not_before = now if self.start_at is None else max(now, self.start_at)
        if self.schedule.kind == "once":
            # A one-shot whose instant has passed fires at once, late; rejecting it would lose the request.
            first = schedule.first(not_before) or schedule.first(datetime.fromtimestamp(0, now.tzinfo))
        elif self.schedule.starts_later and self.start_at is None:
            first = schedule.next_after(now)
        else:
            first = schedule.first(not_before)
        if first is None:
            if not_before > now and schedule.first(now) is not None:
                words = "is after the last fire of the schedule; give an earlier one"
                raise InvalidRequest("start_at", words, given=not_before.isoformat())
            raise InvalidRequest("schedule", "never fires from now on", given=self.schedule.to_spec())
        if self.start_at is not None and first < self.start_at:
            # Only a one-shot: the first instant of all other kinds is searched from start_at on.
            words = f"is after the only fire ({first.isoformat()}); give an earlier one, or none"
            raise InvalidRequest("start_at", words, given=self.start_at.isoformat())
        if self.end_at is not None and first > self.end_at:
            raise InvalidRequest(
                "end_at", f"is before the first fire ({first.isoformat()})", given=self.end_at.isoformat()
            )
        return first

    def policies(self, of_group: Policies) -> Policies:
        """Return the group's policies with the timer's overrides applied."""
        return of_group if self.overrides is None else overridden(of_group, self.overrides)

    def shard(self, shards: int) -> int:
        """Return the shard of the timer."""
        return shard_of(self.name, shards)

    def write_to(self, timer: Timer) -> None:
        """Set the columns of a timer to the values of this request."""
        timer.schedule_kind, timer.schedule, timer.time_zone = (
            self.schedule.kind,
            self.schedule.to_spec(),
            self.time_zone,
        )
        timer.start_at, timer.end_at, timer.max_fires = self.start_at, self.end_at, self.max_fires
        timer.jitter, timer.priority = self.jitter, self.priority
        timer.until_committed, timer.description, timer.tags = self.until_committed, self.description, list(self.tags)
        timer.payload = None if self.payload is None else json.loads(self.payload)
        timer.action = None if self.action is None else json.loads(self.action)
        timer.overrides = None if self.overrides is None else json.loads(self.overrides)
        timer.concurrency_key, timer.limit_key = self.concurrency_key, self.limit_key(timer.group)

    def limit_key(self, group: TimerGroup) -> str | None:
        """Return the key under which the group's limits count the timer; None if the group does not limit by key."""
        if group.max_concurrency_per_key is None and group.max_rate_per_key is None:
            return None
        with suppress(InvalidRequest):  # values made invalid by hand limit nothing
            return group.limits().key_of(
                self.concurrency_key, None if self.payload is None else json.loads(self.payload)
            )
        return None

    @property
    def offset(self) -> timedelta:
        """Time between a nominal instant and the moment when the timer is due."""
        return timedelta(microseconds=jitter_offset_us(self.name, self.jitter))


def _check_max_fires(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_FIRES:
        raise InvalidRequest("max_fires", f"must be a whole number from 1 to {MAX_FIRES:,}", given=value)
    return value


def _check_jitter(value: Any) -> float:
    return parse_duration(value, "jitter", at_most=MAX_JITTER_US, allow_zero=True) / 1_000_000


def check_priority(value: Any) -> int:
    """Return a timer's priority. Raise InvalidRequest if it is not valid."""
    if isinstance(value, bool) or not isinstance(value, int) or not -MAX_PRIORITY <= value <= MAX_PRIORITY:
        raise InvalidRequest("priority", f"must be a whole number from -{MAX_PRIORITY} to {MAX_PRIORITY}", given=value)
    return value


def _check_flag(field: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidRequest(field, "must be true or false", given=value)
    return value


def _action_of(handler: Any, action: Any) -> dict[str, Any]:
    if not isinstance(handler, str) or not handler:
        raise InvalidRequest("handler", "must be the name of a handler", given=handler)
    if action is not None:
        raise InvalidRequest(
            "handler", "stands for an action that calls it, and action is given too; take one of them out"
        )
    return {"kind": "python", "handler": handler}


def _check_overrides(value: Any) -> str | None:
    if not isinstance(value, Mapping):
        raise InvalidRequest("overrides", "must be an object of policies", given=value)
    try:
        return json.dumps(checked_overrides(value)) if value else None
    except InvalidRequest as error:
        raise error.within("overrides") from None


def _check_tags(value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) > MAX_TAGS:
        raise InvalidRequest("tags", f"must be a list of at most {MAX_TAGS} names", given=value)
    return tuple(check_word("tags", tag) for tag in value)
