"""Response model of timers: the keywords of the schedule_* functions under the same names, and the state."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from timers import clock
from timers.domain.payload import Unreadable
from timers.engine.group_clock import GroupClock
from timers.insights.held_up import (
    KnownHandlers,
    Pauses,
    due_since,
    held_up_by,
    waits_for_handler,
    waits_for_limit,
)
from timers.insights.limits import Reached
from timers.models import Timer
from timers.models.schedule_words import schedule_words
from timers.schedules.kinds import keywords_of

_COLUMNS: Final = (
    "name", "time_zone", "start_at", "end_at", "max_fires", "jitter", "priority", "until_committed", "tags",
    "concurrency_key", "description", "state", "state_reason", "paused_until", "next_fire_at", "last_fire_at",
    "last_outcome", "fire_count", "failures_in_a_row", "version", "created_at", "created_by", "updated_at",
    "updated_by",
)  # fmt: skip


class TimerAnswer(BaseModel):
    """A timer. In addition to these fields it has the keywords of its kind: period, expression, at and so on."""

    model_config = ConfigDict(extra="allow")

    group: str
    name: str
    kind: str
    words: str = Field(description="The schedule in plain words.")
    time_zone: str
    payload: Any
    action: Any = Field(description="Its own action; null: the group's.")
    start_at: datetime | None
    end_at: datetime | None
    max_fires: int | None
    jitter: float
    priority: int
    until_committed: bool
    overrides: Any
    concurrency_key: str | None = Field(description="Whose executions are limited together; null: by the group's path.")
    tags: list[str]
    description: str
    state: str = Field(description="Its own: active, paused, finished or cancelled.")
    effective_state: str = Field(
        description="Like state, but of an active timer: paused where its group or cluster is, waiting where no living "
        "node knows its handler."
    )
    state_reason: str = Field(description="Why it is in this state, or what holds it up while it is active.")
    paused_until: datetime | None
    next_fire_at: datetime | None = Field(description="null, too, for an instant that passed while it was held up.")
    due_since: datetime | None = Field(
        description="An instant that passed while its group or the cluster was paused, or no node knew its handler: "
        "the misfire policy decides about it when that ends."
    )
    remaining: float | None = Field(description="Seconds until the next fire; negative when that is behind.")
    last_fire_at: datetime | None
    last_outcome: str
    fire_count: int
    failures_in_a_row: int
    version: int
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str
    in_flight: list[str] = Field(
        default=[],
        description="Executions that are claimed right now; of a pause or change, those that it came too late for."
        " Given for one timer, not in lists.",
    )
    last_result: Any = Field(default=None, description="What its latest run returned; told of one timer.")


def timer_answer(
    timer: Timer,
    now: datetime,
    pauses: Pauses | None = None,
    known: KnownHandlers | None = None,
    reached: Reached | None = None,
    **further: Any,
) -> TimerAnswer:
    """Build the response from a timer's row.

    Args:
        timer: The row.
        now: Present instant of the database clock.
        pauses: Pauses of the cluster and of partitions; None: not looked up.
        known: Handlers of the live nodes; None: not looked up.
        reached: Groups at their limits; None: not looked up.
        **further: in_flight and last_result.

    Returns:
        The response.
    """
    present = GroupClock.of(timer.group).moment(now)
    paused = held_up_by(timer, timer.group, pauses or {})
    waits = "" if paused else waits_for_handler(timer, timer.group, known)
    waits = waits or ("" if paused else waits_for_limit(timer, present, reached or {}))
    held_up = paused or waits
    missed = due_since(timer, present) if held_up else None
    columns = {column: getattr(timer, column) for column in _COLUMNS}
    if held_up:
        columns["state_reason"] = timer.state_reason or held_up
        columns["next_fire_at"] = None if missed else timer.next_fire_at
    next_fire_at = columns["next_fire_at"]
    # Values from the database need no validation: constructing takes a tenth of the time of validating.
    return TimerAnswer.model_construct(
        group=timer.group.name,
        kind=timer.schedule_kind,
        words=schedule_words(timer.schedule_kind, timer.schedule, timer.time_zone),
        payload=_readable(timer.payload),
        action=_readable(timer.action),
        overrides=_readable(timer.overrides),
        effective_state=Timer.State.PAUSED.value if paused else "waiting" if waits else timer.state,
        due_since=missed,
        remaining=None if next_fire_at is None else (next_fire_at - present).total_seconds(),
        **columns,
        **_own_keywords(timer),
        **further,
    )


def answer_now(timer: Timer, **further: Any) -> TimerAnswer:
    """Build the response from a timer's row as of now."""
    return timer_answer(timer, clock.now(), **further)


def _own_keywords(timer: Timer) -> dict[str, Any]:
    if not isinstance(timer.schedule, dict):
        return {}
    own = keywords_of(timer.schedule_kind)
    return {word: value for word, value in timer.schedule.items() if word in own}


def _readable(value: Any) -> Any:
    """Return the value itself, or its text if only the database can read it."""
    return str(value) if isinstance(value, Unreadable) else value
